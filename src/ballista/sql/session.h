// SQL to plans: sessions over one shared catalog, on a DuckDB instance that only plans.
//
// Model: a `SqlEngine` owns the planning instance. Its catalog (external tables, views,
// macros, small local tables) is shared by all sessions; temporary objects and settings
// belong to a `SqlSession`. A statement is compiled to what has to be done about it: a
// plan for the cluster, rows that are already known (SHOW, DESCRIBE, SET, DDL, catalog
// queries), or a change of a local table fed by a plan.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ballista/catalog/upload_store.h"
#include "ballista/dataframe.pb.h"
#include "ballista/plan.pb.h"
#include "ballista/security/path_guard.h"

namespace ballista::sql {

struct Statement {
  enum class Kind {
    kQuery,       // `plan` gives the result
    kRows,        // `rows` is the result; nothing to run
    kInsertRows,  // run `plan`, give its rows to `consume`, whose table is the result
    kExplain,     // explain `plan`
    kExplainAnalyze,
  };
  Kind kind = Kind::kRows;
  // Of the result that the client sees.
  std::shared_ptr<arrow::Schema> schema;
  plan::Plan plan;
  // With kQuery: set where planning has found the answer already (literals only, and
  // `ballista.single_task_threshold` is not 0); then there is no need to run `plan`.
  std::shared_ptr<arrow::Table> rows;
  // kInsertRows, and EXPLAIN ANALYZE of a COPY: takes the rows of `plan`, to append them
  // to the local table or to put the files in place that they name; gives the rows to
  // show (a count).
  std::function<arrow::Result<std::shared_ptr<arrow::Table>>(
      const std::shared_ptr<arrow::Table>&)>
      consume;
  // What `plan` reads of uploaded tables stays there as long as these do.
  std::vector<std::shared_ptr<const void>> holds;
  // SELECT-like (the client asked for rows) or an update (it wants a count).
  bool is_query = true;
  // For people: "SELECT", "CREATE VIEW", ...
  std::string type;
};

// Where rows that a client uploads go.
struct IngestTarget {
  enum class IfExists { kFail, kAppend, kReplace };
  std::string catalog;  // empty: the session's
  std::string schema;   // empty: the session's
  std::string table;
  bool temporary = false;  // seen by the session alone, and gone with it
  bool create = true;      // where there is no such table; else that is an error
  IfExists if_exists = IfExists::kFail;
};

// One SET of a session that still holds. `value`: in SQL.
struct ChangedSetting {
  std::string name;
  std::string value;
  bool variable = false;  // of SET VARIABLE
};

// One client's session. Calls are serialised inside: one statement at a time.
class SqlSession {
 public:
  virtual ~SqlSession() = default;
  virtual const std::string& id() const = 0;
  // Whose it is, where clients log in. Set once, before it is used.
  const std::string& user() const { return user_; }
  void set_user(std::string user) { user_ = std::move(user); }

  // Compiles one statement (trailing semicolon allowed). DDL, SET and the like take
  // effect here. `parameters`: values of $1, $2, ... for a prepared statement. Errors:
  // UserError with the position in `sql` where known.
  virtual arrow::Result<Statement> Compile(
      const std::string& sql, const std::vector<plan::Value>& parameters = {}) = 0;

  // What a prepared statement gives and takes, without running it. Nothing takes effect.
  struct Description {
    // Null where it depends on the values of parameters, which are not given.
    std::shared_ptr<arrow::Schema> schema;
    // One field a parameter, "$1" or "$name", in the order in which Compile takes their
    // values; of the type null where the statement does not say.
    std::shared_ptr<arrow::Schema> parameters;
    bool is_query = true;
  };
  virtual arrow::Result<Description> Describe(
      const std::string& sql, const std::vector<plan::Value>& parameters = {}) = 0;

  // The same two for a client's data frame, which is validated here.
  virtual arrow::Result<Statement> CompileFrame(
      const dataframe::CommandDataFrame& frame) = 0;
  virtual arrow::Result<Description> DescribeFrame(
      const dataframe::CommandDataFrame& frame) = 0;

  // Each row of the table as the values of a statement's parameters, of the types that
  // the columns have. Everything is in memory. Errors: UserError for a type that there is
  // no SQL type for.
  virtual arrow::Result<std::vector<std::vector<plan::Value>>> ReadParameters(
      const std::shared_ptr<arrow::Table>& rows) = 0;

  // Puts the rows into a local table; columns of a table that exists are matched by name.
  // All or nothing. Errors: UserError for a table that exists, is missing or takes no
  // rows.
  virtual arrow::Status Ingest(const IngestTarget& target,
                               const std::shared_ptr<arrow::Table>& rows) = 0;
  // The error that Ingest would give for the table itself.
  virtual arrow::Status CheckIngest(const IngestTarget& target) = 0;
  // Rows that are too many for memory: they go to files, piece by piece, and are read
  // from there. Of one thread at a time.
  class Upload {
   public:
    // One that has not finished has changed nothing.
    virtual ~Upload() = default;
    // Errors: of the conversion; ResourcesExhausted (DISK).
    virtual arrow::Status Add(const std::shared_ptr<arrow::Table>& rows) = 0;
    // All or nothing. Errors: as of Ingest.
    virtual arrow::Status Finish() = 0;
  };
  // Errors: as of Ingest, and NotImplemented where there is no room for uploads.
  virtual arrow::Result<std::unique_ptr<Upload>> BeginUpload(
      const IngestTarget& target, const std::shared_ptr<arrow::Schema>& schema) = 0;

  // The value of a `ballista.*` option, or of an engine setting. Errors: UserError for an
  // unknown one.
  virtual arrow::Result<std::string> GetOption(const std::string& name) = 0;
  virtual arrow::Status SetOption(const std::string& name, const std::string& value) = 0;

  // What has been set and not reset, and a number that is another one after each change
  // of it.
  virtual std::vector<ChangedSetting> ChangedSettings() = 0;
  virtual uint64_t settings_version() const = 0;
  // Sets these, and resets what else has been set. Goes on after one that cannot be set
  // any more; the error is the first one's.
  virtual arrow::Status RestoreSettings(const std::vector<ChangedSetting>& settings) = 0;

 private:
  std::string user_;
};

// Objects of the shared catalog, but for local tables, by a key of printable bytes; each
// in bytes from which another process makes the same one.
using CatalogObjects = std::map<std::string, std::string>;

struct SqlEngineOptions {
  // Of the planning instance; it never runs a query over user data.
  uint64_t memory_limit = 1ULL << 30;
  // The paths that statements may name; null: all.
  std::shared_ptr<const security::PathGuard> guard;
  // Where uploads go that are too large for memory; null: there are none.
  std::shared_ptr<catalog::UploadStore> uploads;
};

class SqlEngine {
 public:
  virtual ~SqlEngine() = default;

  static arrow::Result<std::unique_ptr<SqlEngine>> Make(const SqlEngineOptions& options);

  // Thread-safe. The session keeps the engine's state alive.
  virtual arrow::Result<std::shared_ptr<SqlSession>> OpenSession(
      const std::string& id) = 0;

  virtual arrow::Result<CatalogObjects> ExportCatalog() = 0;
  // Makes what is put (in place of what has the same name), removes what is erased. Goes
  // on after an object for which that fails; the error names all of those.
  virtual arrow::Status ImportCatalog(const CatalogObjects& put,
                                      const std::vector<std::string>& erased) = 0;
  // By its first word.
  static bool MayChangeCatalog(const std::string& sql);

  // Splits a text into statements; comments and empty statements are dropped. Errors:
  // UserError (SYNTAX).
  virtual arrow::Result<std::vector<std::string>> SplitStatements(
      const std::string& sql) = 0;
};

}  // namespace ballista::sql
