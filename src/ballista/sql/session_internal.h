// The one implementation of SqlSession.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "ballista/sql/engine_internal.h"
#include "ballista/sql/external_table.h"
#include "ballista/sql/pch_internal.h"
#include "ballista/sql/query_planner.h"
#include "ballista/sql/result_conversion.h"
#include "ballista/sql/session.h"
#include "ballista/sql/session_options.h"
#include "ballista/sql/upload_writer.h"

namespace ballista::sql {

// SHOW and DESCRIBE tell of the catalog; SUMMARIZE is a query over the table's rows.
bool ShowsCatalog(const duckdb::SelectStatement& statement);

class Session : public SqlSession, public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<EngineState> engine, std::string id);
  ~Session() override;

  const std::string& id() const override { return id_; }
  arrow::Result<Statement> Compile(const std::string& sql,
                                   const std::vector<plan::Value>& parameters) override;
  arrow::Result<Description> Describe(
      const std::string& sql, const std::vector<plan::Value>& parameters) override;
  arrow::Result<Statement> CompileFrame(
      const dataframe::CommandDataFrame& frame) override;
  arrow::Result<Description> DescribeFrame(
      const dataframe::CommandDataFrame& frame) override;
  arrow::Result<std::vector<std::vector<plan::Value>>> ReadParameters(
      const std::shared_ptr<arrow::Table>& rows) override;
  arrow::Status Ingest(const IngestTarget& target,
                       const std::shared_ptr<arrow::Table>& rows) override;
  arrow::Status CheckIngest(const IngestTarget& target) override;
  arrow::Result<std::unique_ptr<Upload>> BeginUpload(
      const IngestTarget& target, const std::shared_ptr<arrow::Schema>& schema) override;
  arrow::Result<std::string> GetOption(const std::string& name) override;
  arrow::Status SetOption(const std::string& name, const std::string& value) override;
  std::vector<ChangedSetting> ChangedSettings() override;
  uint64_t settings_version() const override { return settings_version_; }
  arrow::Status RestoreSettings(const std::vector<ChangedSetting>& settings) override;

 private:
  using Parsed = duckdb::unique_ptr<duckdb::SQLStatement>;

  // ---- session.cc
  arrow::Result<std::vector<Parsed>> Parse(const std::string& sql);
  arrow::Result<Statement> CompileText(const std::string& sql,
                                       const std::vector<plan::Value>& parameters);
  arrow::Result<Statement> CompileParsed(Parsed statement,
                                         const ParameterValues& parameters);
  arrow::Result<Statement> CompileSelect(const duckdb::SelectStatement& statement,
                                         const ParameterValues& parameters);
  arrow::Result<Statement> QueryOf(PlannedQuery query);
  bool AnswersItself(const plan::Plan& plan) const;
  arrow::Result<Statement> CompileExplain(duckdb::ExplainStatement& statement,
                                          const ParameterValues& parameters);
  arrow::Result<Statement> CompileCopy(const duckdb::CopyStatement& statement,
                                       const ParameterValues& parameters);
  // A prepared statement and the values that an EXECUTE gives it.
  struct BoundExecute {
    Parsed statement;
    ParameterValues values;
  };
  arrow::Result<BoundExecute> BindExecute(const duckdb::ExecuteStatement& statement);
  arrow::Result<Statement> CompileExecute(duckdb::ExecuteStatement& statement);
  arrow::Result<Statement> CompilePivot(std::vector<Parsed> pieces,
                                        const ParameterValues& parameters);
  // Of the session or of DuckDB.
  bool IsOption(const std::string& name);
  arrow::Result<Statement> ShowOption(const std::string& name);
  arrow::Result<ParameterValues> BindParameters(const duckdb::SQLStatement& statement,
                                                const std::vector<plan::Value>& values);

  // ---- planned_ahead.cc: most clients describe a query and run it at once
  std::optional<Description> PlanAhead(const std::string& sql,
                                       const duckdb::SQLStatement& statement);
  std::optional<PlannedQuery> TakePlanned(const std::string& sql,
                                          const std::vector<plan::Value>& parameters);

  // ---- session_describe.cc
  struct Planned {
    duckdb::vector<duckdb::LogicalType> types;
    duckdb::vector<std::string> names;
    bool known = true;  // `types` and `names`
    duckdb::case_insensitive_map_t<duckdb::LogicalType> parameters;
  };
  // In a transaction. What DuckDB throws passes through.
  Planned PlanToDescribe(const duckdb::SQLStatement& statement,
                         const ParameterValues& given);
  arrow::Result<Description> DescribeParsed(Parsed statement,
                                            const std::vector<plan::Value>& values);

  // ---- session_data_frame.cc
  arrow::Result<Parsed> ParseFrame(const dataframe::CommandDataFrame& frame);

  // ---- session_changes.cc: statements that change the catalog or a local table
  arrow::Result<Statement> CompileExternalTable(const ExternalTable& table);
  arrow::Result<Statement> CompileCreate(duckdb::CreateStatement& statement,
                                         const ParameterValues& parameters);
  arrow::Result<Statement> CompileCreateTableAs(duckdb::CreateStatement& statement,
                                                const ParameterValues& parameters);
  arrow::Result<Statement> CompileInsert(duckdb::InsertStatement& statement,
                                         const ParameterValues& parameters);
  arrow::Result<Statement> CompileCopyFrom(const duckdb::CopyStatement& statement);
  arrow::Result<Statement> CompileDrop(duckdb::DropStatement& statement);
  arrow::Result<Statement> CompileChange(Parsed statement,
                                         const ParameterValues& parameters);
  arrow::Status RefuseFileScans(const duckdb::SQLStatement& statement,
                                const ParameterValues& parameters);
  bool IsExternalTable(const duckdb::DropInfo& info);

  // ---- session_ingest.cc
  enum class Found { kNothing, kTable, kUploadedTable };
  arrow::Result<Found> FindIngestTarget(IngestTarget* target);
  arrow::Result<Parsed> IngestStatement(const IngestTarget& target, bool exists,
                                        const arrow::Schema& columns,
                                        ArrowSource& source);
  arrow::Result<bool> OutgrowsMemory(const IngestTarget& target,
                                     const arrow::Table& rows);

  // ---- session_upload.cc: tables that are too large for memory, in files
  class FileUpload;
  arrow::Result<std::unique_ptr<FileUpload>> MakeUpload(
      const IngestTarget& target, Found found,
      const std::shared_ptr<arrow::Schema>& schema);
  arrow::Status PutUploadedTable(const IngestTarget& target, Found found,
                                 UploadWriter* writer);
  arrow::Status IngestToFiles(const IngestTarget& target, Found found,
                              const std::shared_ptr<arrow::Table>& rows);
  arrow::Status ReplaceUploadedTable(const IngestTarget& target, Parsed statement);
  arrow::Status RunAfter(const std::string& first, Parsed statement);
  arrow::Status WriteTable(const IngestTarget& target, UploadWriter* writer);
  arrow::Result<UploadedTable> ReadUploadedTable(const IngestTarget& target);
  // Drops what no table is made of any more. With the engine alone.
  void SweepUploads();
  // Has the statement keep what it reads.
  void HoldUploads(Statement* statement);
  arrow::Status RefuseUploadedTable(const duckdb::SQLStatement& statement);

  // ---- session_settings.cc
  arrow::Result<Statement> CompileSet(duckdb::SetStatement& statement);
  arrow::Status SetEngineOption(const std::string& name, const std::string& value_sql);
  arrow::Status ApplyInstanceSettings(bool apply);
  arrow::Result<std::string> EngineOption(const std::string& name);
  // `value_sql` empty: it was reset.
  void NoteSetting(const std::string& name, const std::string& value_sql, bool variable);
  void NoteVariable(const std::string& name, bool reset);

  // ---- running in the planning instance
  arrow::Result<Statement> RunHere(Parsed statement, const ParameterValues& parameters,
                                   bool is_query, std::string type);
  arrow::Result<std::shared_ptr<arrow::Table>> QueryHere(const std::string& sql);

  // Locks the session, and the engine: alone when this session has settings of its own
  // that DuckDB keeps for the instance, or when `alone` is asked for.
  class Guard {
   public:
    Guard(Session& session, bool alone);
    ~Guard();
    const arrow::Status& status() const { return status_; }

   private:
    Session& session_;
    std::lock_guard<std::mutex> lock_;
    std::unique_lock<std::shared_mutex> alone_;
    std::shared_lock<std::shared_mutex> shared_;
    arrow::Status status_;
  };

  struct PlannedAhead {
    std::string sql;
    PlannedQuery query;
    uint64_t changes = 0;  // EngineState.changes
    std::chrono::steady_clock::time_point made;
  };

  const std::shared_ptr<EngineState> engine_;
  const std::string id_;
  std::mutex mutex_;
  duckdb::Connection connection_;
  QueryPlanner planner_;
  SessionOptions options_;
  std::map<std::string, std::string> instance_settings_;  // name, value in SQL
  std::map<std::string, Parsed> prepared_;                // by lower-case name
  std::vector<ChangedSetting> changed_;  // in the order in which they were set
  std::atomic<uint64_t> settings_version_{0};
  std::optional<PlannedAhead> ahead_;
};

}  // namespace ballista::sql
