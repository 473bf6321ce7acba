#include "ballista/scheduler/service/query_service.h"

#include <arrow/array/builder_binary.h>
#include <arrow/scalar.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/flight/part_ticket.h"
#include "ballista/plan/data_frame.h"
#include "ballista/plan/plan.h"
#include "ballista/planner/adaptive_planner.h"
#include "ballista/profile/complete.h"
#include "ballista/scheduler/service/explain.h"
#include "ballista/scheduler/service/job_spans.h"
#include "ballista/scheduler/service/result_reader.h"
#include "ballista/security/secrets.h"
#include "ballista/sql/copy_commit.h"
#include "ballista/sql/error_place.h"

namespace ballista::scheduler {
namespace {

constexpr size_t kMaxKnown = 4096;
// Statements beyond this have errors without a position.
constexpr size_t kMaxText = 16 << 10;

arrow::Result<int64_t> IntegerOption(sql::SqlSession* session, const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const std::string text, session->GetOption(name));
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InternalStatus("option " + name + " is no number: " + text);
  }
  return value;
}

arrow::Result<Speculation> SpeculationOptions(sql::SqlSession* session) {
  Speculation speculation;
  ARROW_ASSIGN_OR_RAISE(const std::string enabled,
                        session->GetOption("ballista.speculation"));
  speculation.enabled = enabled == "true";
  ARROW_ASSIGN_OR_RAISE(const int64_t quantile,
                        IntegerOption(session, "ballista.speculation_quantile"));
  speculation.quantile = static_cast<uint32_t>(std::min<int64_t>(quantile, 100));
  ARROW_ASSIGN_OR_RAISE(const int64_t multiplier,
                        IntegerOption(session, "ballista.speculation_multiplier"));
  speculation.multiplier = static_cast<uint32_t>(std::min<int64_t>(multiplier, 1000));
  ARROW_ASSIGN_OR_RAISE(const int64_t least,
                        IntegerOption(session, "ballista.speculation_min_runtime"));
  speculation.least = std::chrono::milliseconds(least);
  return speculation;
}

// What a COPY wrote and did not put in place: all of it after a failure, else what
// attempts left that were not the ones that counted.
void DropStagedFiles(const plan::Plan& plan, const std::string& job_id) {
  if (plan.root().has_write()) sql::AbandonCopy(plan.root().write(), job_id);
}

}  // namespace

QueryService::QueryService(JobService* jobs, flight::ClientPool* clients,
                           std::chrono::milliseconds result_timeout,
                           const RowsBudget* budget, StateKeeper* keeper,
                           KeptCatalog* catalog, trace::Exporter* exporter)
    : jobs_(jobs),
      clients_(clients),
      result_timeout_(result_timeout),
      budget_(budget),
      keeper_(keeper),
      catalog_(catalog),
      exporter_(exporter) {}

arrow::Status QueryService::CheckMayTouch(const security::Identity& who,
                                          const std::string& query_id) {
  // Who may touch what is anybody's, touches this.
  if (who.MayActAsCluster() || who.administrator || who.name.empty()) {
    return arrow::Status::OK();
  }
  std::optional<std::string> user;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(query_id);
    if (known != known_.end()) user = known->second.user;
  }
  if (!user) user = jobs_->UserOf(query_id);
  if (!user && keeper_ != nullptr && keeper_->shared()) {
    ARROW_ASSIGN_OR_RAISE(const auto found, keeper_->FindJob(query_id));
    if (found.known) user = found.user;
  }
  if (!user || who.MayTouch(*user)) return arrow::Status::OK();
  // Nothing tells it from one that is not there.
  return arrow::Status::Invalid(JobService::NoSuchJob(query_id).message());
}

arrow::Result<sql::Statement> QueryService::Compile(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters) {
  if (catalog_ == nullptr) return session->Compile(sql, parameters);
  return catalog_->Compile(session, sql, parameters);
}

arrow::Result<sql::SqlSession::Description> QueryService::Describe(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters) {
  auto description = catalog_ == nullptr ? session->Describe(sql, parameters)
                                         : catalog_->Describe(session, sql, parameters);
  if (!description.ok()) return sql::PlaceError(description.status(), sql);
  return description;
}

void QueryService::DropOldRowsLocked() {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(known_, [&](const auto& entry) {
    return now - entry.second.made > result_timeout_;
  });
}

arrow::Result<job::JobGraph> QueryService::Plan(sql::SqlSession* session,
                                                const plan::Plan& plan) {
  ARROW_RETURN_NOT_OK(plan::Validate(plan));
  planner::PlannerOptions options;
  options.executors = 0;
  options.threads = 0;
  for (const auto& executor : jobs_->Executors()) {
    ++options.executors;
    options.threads += executor.threads();
    options.memory_per_executor =
        options.memory_per_executor == 0
            ? executor.memory_limit()
            : std::min(options.memory_per_executor, executor.memory_limit());
  }
  options.executors = std::max(options.executors, 1U);
  options.threads = std::max(options.threads, 1U);
  ARROW_ASSIGN_OR_RAISE(const int64_t partitions,
                        IntegerOption(session, "ballista.shuffle_partitions"));
  options.shuffle_partitions = static_cast<uint32_t>(partitions);
  ARROW_ASSIGN_OR_RAISE(options.broadcast_threshold,
                        IntegerOption(session, "ballista.broadcast_threshold"));
  ARROW_ASSIGN_OR_RAISE(const int64_t single,
                        IntegerOption(session, "ballista.single_task_threshold"));
  options.single_task_threshold = static_cast<uint64_t>(single);
  ARROW_ASSIGN_OR_RAISE(const int64_t range_sort,
                        IntegerOption(session, "ballista.range_sort_threshold"));
  options.range_sort_threshold = static_cast<uint64_t>(range_sort);
  ARROW_ASSIGN_OR_RAISE(auto graph, planner::PlanJob(plan, options));
  ARROW_ASSIGN_OR_RAISE(const std::string replan, session->GetOption("ballista.replan"));
  if (replan == "true") {
    auto* settings = graph.mutable_replanning();
    settings->set_enabled(true);
    settings->set_executors(options.executors);
    settings->set_memory_per_executor(options.memory_per_executor);
    settings->set_broadcast_threshold(options.broadcast_threshold);
    settings->set_single_task_threshold(options.single_task_threshold);
    settings->set_shuffle_partitions(options.shuffle_partitions);
    planner::HoldForReplanning(&graph, {});
  }
  ARROW_RETURN_NOT_OK(plan::ValidateGraph(graph));
  return graph;
}

arrow::Result<std::string> QueryService::Start(sql::SqlSession* session,
                                               const plan::Plan& plan,
                                               const std::string& sql,
                                               bool collect_metrics, bool kept) {
  ARROW_ASSIGN_OR_RAISE(auto graph, Plan(session, plan));
  if (collect_metrics) {
    auto* setting = graph.add_settings();
    setting->set_name("ballista.collect_metrics");
    setting->set_value("true");
  }
  for (const char* name : {"ballista.job_disk_quota", "ballista.batch_rows"}) {
    ARROW_ASSIGN_OR_RAISE(const int64_t value, IntegerOption(session, name));
    if (value <= 0) continue;
    auto* setting = graph.add_settings();
    setting->set_name(name);
    setting->set_value(std::to_string(value));
  }
  if (kept && gives_out_parts_) {
    auto* setting = graph.add_settings();
    setting->set_name(flight::kResultKeySetting);
    setting->set_value(security::NewToken());
  }
  if (exporter_ != nullptr) {
    if (const auto trace = trace::BeginJobTrace()) {
      auto* setting = graph.add_settings();
      setting->set_name(trace::kJobTraceSetting);
      setting->set_value(trace::ToSetting(*trace));
      exporter_->Add(PlanSpan(*trace, trace::UnixNanos()));
    }
  }
  JobOptions options;
  options.statement = profile::Cut(sql, kMaxText);
  options.user = session->user();
  ARROW_ASSIGN_OR_RAISE(const int64_t attempts,
                        IntegerOption(session, "ballista.max_task_attempts"));
  options.max_task_attempts = static_cast<uint32_t>(std::max<int64_t>(attempts, 1));
  ARROW_ASSIGN_OR_RAISE(const std::string tolerance,
                        session->GetOption("ballista.fault_tolerance"));
  options.retry = tolerance != "none";
  ARROW_ASSIGN_OR_RAISE(const int64_t skew,
                        IntegerOption(session, "ballista.skew_factor"));
  options.skew_factor = static_cast<uint32_t>(skew);
  ARROW_ASSIGN_OR_RAISE(const int64_t tasks,
                        IntegerOption(session, "ballista.tasks_per_stage"));
  options.tasks_per_stage = static_cast<uint32_t>(tasks);
  ARROW_ASSIGN_OR_RAISE(const int64_t single,
                        IntegerOption(session, "ballista.single_task_threshold"));
  if (single == 0) options.min_task_bytes = 0;
  ARROW_ASSIGN_OR_RAISE(options.speculation, SpeculationOptions(session));
  ARROW_ASSIGN_OR_RAISE(const int64_t limit,
                        IntegerOption(session, "ballista.statement_timeout"));
  const std::chrono::milliseconds time_limit(limit);
  // One that must not run twice ends with its scheduler.
  if (kept && options.retry) {
    return jobs_->SubmitKept(session->id(), std::move(graph), options, time_limit);
  }
  return jobs_->Submit(session->id(), std::move(graph), options, time_limit);
}

arrow::Result<QueryHandle> QueryService::KeepRows(sql::SqlSession* session,
                                                  std::shared_ptr<arrow::Table> rows,
                                                  bool is_query) {
  QueryHandle handle;
  handle.id = NewId();
  handle.schema = rows->schema();
  handle.rows = rows->num_rows();
  handle.is_query = is_query;
  const std::lock_guard lock(mutex_);
  DropOldRowsLocked();
  auto share = budget_->Open();
  ARROW_RETURN_NOT_OK(share.Take(arrow::util::TotalBufferSize(*rows), "a result"));
  if (known_.size() >= kMaxKnown) {
    return ResourcesExhaustedStatus(
        fmt::format("{} results are waiting to be read; read or cancel some", kMaxKnown),
        ResourcesExhausted::QUEUE, kMaxKnown);
  }
  known_[handle.id] = Known{session->id(), session->user(), std::move(rows),
                            std::move(share), std::chrono::steady_clock::now()};
  return handle;
}

void QueryService::KeepText(const std::string& job_id, const std::string& sql) {
  if (sql.size() > kMaxText) return;
  const std::lock_guard lock(mutex_);
  // Ids are in no order of time: what goes is any one whose position is lost then.
  if (texts_.size() >= kMaxKnown) texts_.erase(texts_.begin());
  texts_[job_id] = sql;
}

std::string QueryService::TakeText(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  const auto found = texts_.find(job_id);
  if (found == texts_.end()) return "";
  std::string text = std::move(found->second);
  texts_.erase(found);
  return text;
}

arrow::Result<QueryHandle> QueryService::Execute(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters, const std::function<bool()>& abandoned,
    bool whole) {
  // Before it is asked whether the scheduler stops: whoever stops it sees one or the
  // other.
  ++executing_;
  ++executed_;
  DropHolds();
  auto handle = ExecuteCounted(session, sql, parameters, abandoned, whole);
  DropHolds();
  --executing_;
  return handle;
}

arrow::Status QueryService::RefuseWhenStopping() const {
  if (!stopping_) return arrow::Status::OK();
  return CancelledStatus(
      "this scheduler is stopping and takes no more queries: send the query again once "
      "it has started again, or to another scheduler",
      Cancelled::SHUTDOWN);
}

arrow::Result<QueryHandle> QueryService::ExecuteCounted(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters, const std::function<bool()>& abandoned,
    bool whole) {
  ARROW_RETURN_NOT_OK(RefuseWhenStopping());
  const auto begin = [&]() -> arrow::Result<QueryHandle> {
    ARROW_ASSIGN_OR_RAISE(auto statement, Compile(session, sql, parameters));
    return Begin(session, std::move(statement), sql, abandoned, whole);
  };
  auto handle = begin();
  if (!handle.ok()) return sql::PlaceError(handle.status(), sql);
  if (handle->rows < 0) KeepText(handle->id, sql);
  return handle;
}

arrow::Result<QueryHandle> QueryService::Execute(sql::SqlSession* session,
                                                 const dataframe::CommandDataFrame& frame,
                                                 const std::function<bool()>& abandoned) {
  ++executing_;
  ++executed_;
  const auto begin = [&]() -> arrow::Result<QueryHandle> {
    ARROW_RETURN_NOT_OK(RefuseWhenStopping());
    ARROW_ASSIGN_OR_RAISE(auto statement, catalog_ == nullptr
                                              ? session->CompileFrame(frame)
                                              : catalog_->Compile(session, frame));
    return Begin(session, std::move(statement), plan::Summary(frame), abandoned,
                 /*whole=*/true);
  };
  auto handle = begin();
  --executing_;
  return handle;
}

arrow::Result<sql::SqlSession::Description> QueryService::Describe(
    sql::SqlSession* session, const dataframe::CommandDataFrame& frame) {
  return catalog_ == nullptr ? session->DescribeFrame(frame)
                             : catalog_->Describe(session, frame);
}

arrow::Result<QueryHandle> QueryService::Begin(sql::SqlSession* session,
                                               sql::Statement statement,
                                               const std::string& text,
                                               const std::function<bool()>& abandoned,
                                               bool whole) {
  switch (statement.kind) {
    case sql::Statement::Kind::kRows:
      return KeepRows(session, std::move(statement.rows), statement.is_query);
    case sql::Statement::Kind::kInsertRows: {
      ARROW_ASSIGN_OR_RAISE(auto shown,
                            RunAndConsume(session, statement, text, abandoned));
      return KeepRows(session, std::move(shown), statement.is_query);
    }
    case sql::Statement::Kind::kExplain: {
      ARROW_ASSIGN_OR_RAISE(auto rows, Explain(session, statement.plan));
      return KeepRows(session, std::move(rows), true);
    }
    case sql::Statement::Kind::kExplainAnalyze: {
      ARROW_ASSIGN_OR_RAISE(auto rows,
                            ExplainAnalyze(session, statement, text, abandoned));
      return KeepRows(session, std::move(rows), true);
    }
    case sql::Statement::Kind::kQuery:
      if (statement.rows != nullptr)
        return KeepRows(session, std::move(statement.rows), true);
      break;
  }
  QueryHandle handle;
  handle.schema = statement.schema;
  handle.is_query = statement.is_query;
  ARROW_ASSIGN_OR_RAISE(handle.id,
                        Start(session, statement.plan, text, false, /*kept=*/whole));
  if (!statement.holds.empty()) {
    const std::lock_guard lock(mutex_);
    holds_[handle.id] = std::move(statement.holds);
  }
  return handle;
}

void QueryService::DropHolds() {
  std::vector<std::string> jobs;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [job_id, holds] : holds_) jobs.push_back(job_id);
  }
  std::erase_if(jobs, [&](const auto& job_id) { return jobs_->Knows(job_id); });
  std::vector<std::vector<std::shared_ptr<const void>>> dropped;  // without the lock
  const std::lock_guard lock(mutex_);
  for (const auto& job_id : jobs) {
    dropped.push_back(std::move(holds_[job_id]));
    holds_.erase(job_id);
  }
}

namespace {

class JobResult : public ResultSource {
 public:
  JobResult(JobService* jobs, std::string job_id, std::function<bool()> abandoned)
      : jobs_(jobs), job_id_(std::move(job_id)), abandoned_(std::move(abandoned)) {}

  arrow::Result<std::shared_ptr<const JobFinished>> From(uint32_t task) override {
    return jobs_->WaitForParts(job_id_, task, abandoned_);
  }
  bool Begin(const ResultPart& part) override { return jobs_->BeginPart(job_id_, part); }
  void Touch(const ResultPart& part) override { jobs_->TouchPart(job_id_, part); }
  bool Has(const ResultPart& part) override { return jobs_->HasPart(job_id_, part); }
  void Lose(const ResultPart& part, const std::string& reason) override {
    jobs_->LosePart(job_id_, part, reason);
  }
  arrow::Status WhyEnded() override { return jobs_->WhyEnded(job_id_); }

 private:
  JobService* const jobs_;
  const std::string job_id_;
  const std::function<bool()> abandoned_;
};

}  // namespace

arrow::Status QueryService::WaitForJob(const std::string& job_id,
                                       const std::function<bool()>& abandoned) {
  auto status = jobs_->Wait(job_id, abandoned).status();
  if (!status.ok() && !status.IsKeyError()) jobs_->Release(job_id);
  return status;
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> QueryService::OpenOwnJob(
    const std::string& job_id, const std::function<bool()>& abandoned, bool release) {
  ARROW_RETURN_NOT_OK(WaitForJob(job_id, abandoned));
  auto source = std::make_unique<JobResult>(jobs_, job_id, abandoned);
  return OpenResultReader(std::move(source), clients_, kResultStall,
                          [this, job_id, release](bool whole) {
                            if (release) Release(job_id, whole);
                          });
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> QueryService::OpenJob(
    const std::string& job_id, const std::function<bool()>& abandoned) {
  auto reader = OpenOwnJob(job_id, abandoned, /*release=*/true);
  if (!reader.status().IsKeyError()) return reader;
  if (keeper_ != nullptr && keeper_->shared()) return OpenElsewhere(job_id, abandoned);
  return arrow::Status::Invalid(reader.status().message());
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> QueryService::OpenResult(
    const std::string& query_id, const std::function<bool()>& abandoned) {
  std::shared_ptr<arrow::Table> rows;
  RowsBudget::Share share;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(query_id);
    if (known != known_.end()) {
      rows = std::move(known->second.rows);
      share = std::move(known->second.share);
      known_.erase(known);
    }
  }
  if (rows == nullptr) {
    const std::string text = TakeText(query_id);
    auto reader = OpenJob(query_id, abandoned);
    if (!reader.ok()) return sql::PlaceError(reader.status(), text);
    return reader;
  }
  return ReadHeld(std::move(rows), std::move(share));
}

arrow::Result<std::string> QueryService::StartAwaited(sql::SqlSession* session,
                                                      const plan::Plan& plan,
                                                      const std::string& sql,
                                                      bool collect_metrics) {
  ARROW_ASSIGN_OR_RAISE(auto job_id, Start(session, plan, sql, collect_metrics));
  const std::lock_guard lock(mutex_);
  awaited_[job_id] = session->id();
  return job_id;
}

void QueryService::NoLongerAwaited(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  awaited_.erase(job_id);
}

void QueryService::CancelAwaited(const std::string& session_id) {
  std::vector<std::string> jobs;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [job_id, session] : awaited_) {
      if (session == session_id) jobs.push_back(job_id);
    }
  }
  for (const auto& job_id : jobs) {
    jobs_->Cancel(job_id, Cancelled::CLIENT, "the client cancelled the statement");
  }
}

arrow::Result<std::shared_ptr<arrow::Table>> QueryService::RunAndConsume(
    sql::SqlSession* session, const sql::Statement& statement, const std::string& sql,
    const std::function<bool()>& abandoned) {
  ARROW_ASSIGN_OR_RAISE(const std::string job_id,
                        StartAwaited(session, statement.plan, sql, false));
  const auto run = [&]() -> arrow::Result<std::shared_ptr<arrow::Table>> {
    ARROW_ASSIGN_OR_RAISE(auto reader, OpenJob(job_id, abandoned));
    auto share = budget_->Open();
    ARROW_ASSIGN_OR_RAISE(auto rows,
                          ReadWithin(reader.get(), &share, "what is to be inserted"));
    return statement.consume(rows);
  };
  auto shown = run();
  NoLongerAwaited(job_id);
  DropStagedFiles(statement.plan, job_id);
  return shown;
}

arrow::Result<std::shared_ptr<arrow::Table>> QueryService::Explain(
    sql::SqlSession* session, const plan::Plan& plan) {
  ARROW_ASSIGN_OR_RAISE(const auto graph, Plan(session, plan));
  return ExplainTable("distributed_plan", plan::ToString(graph));
}

arrow::Result<std::shared_ptr<arrow::Table>> QueryService::ExplainAnalyze(
    sql::SqlSession* session, const sql::Statement& statement, const std::string& sql,
    const std::function<bool()>& abandoned) {
  ARROW_ASSIGN_OR_RAISE(const std::string job_id,
                        StartAwaited(session, statement.plan, sql, true));
  auto finished = jobs_->Wait(job_id, abandoned);
  NoLongerAwaited(job_id);
  if (!finished.ok()) {
    jobs_->Release(job_id);
    DropStagedFiles(statement.plan, job_id);
    return finished.status();
  }
  const auto profile = jobs_->Profile(job_id);
  if (statement.consume) {
    auto share = budget_->Open();
    const auto consume = [&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(auto reader, OpenJob(job_id, abandoned));
      ARROW_ASSIGN_OR_RAISE(auto rows,
                            ReadWithin(reader.get(), &share, "what is to be inserted"));
      return statement.consume(rows).status();
    };
    const auto consumed = consume();
    DropStagedFiles(statement.plan, job_id);
    ARROW_RETURN_NOT_OK(consumed);
  }
  jobs_->Release(job_id);
  if (!profile.has_value()) {
    return InternalStatus("job " + job_id + " finished and has no profile");
  }
  return ExplainTable("analyzed_plan", AnalyzedPlan(*profile));
}

arrow::Result<int64_t> QueryService::ExecuteUpdate(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters, const std::function<bool()>& abandoned) {
  ARROW_ASSIGN_OR_RAISE(const auto handle, Execute(session, sql, parameters, abandoned));
  ARROW_ASSIGN_OR_RAISE(auto reader, OpenResult(handle.id, abandoned));
  if (handle.is_query) {
    // Nobody sees its rows.
    for (bool more = true; more;) {
      ARROW_ASSIGN_OR_RAISE(const auto batch, reader->Next());
      more = batch != nullptr;
    }
    return -1;
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, reader->ToTable());
  if (rows->num_columns() != 1 || rows->num_rows() != 1) return -1;
  ARROW_ASSIGN_OR_RAISE(auto count, rows->column(0)->GetScalar(0));
  if (count->type->id() != arrow::Type::INT64 || !count->is_valid) return -1;
  return static_cast<const arrow::Int64Scalar&>(*count).value;
}

void QueryService::CloseSession(const std::string& session_id) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(
        known_, [&](const auto& entry) { return entry.second.session_id == session_id; });
  }
  jobs_->CloseSession(session_id);
  DropHolds();
}

size_t QueryService::KeptResults() {
  const std::lock_guard lock(mutex_);
  DropOldRowsLocked();
  return known_.size();
}

bool QueryService::Renew(const std::string& query_id) {
  {
    const std::lock_guard lock(mutex_);
    DropOldRowsLocked();
    const auto known = known_.find(query_id);
    if (known != known_.end()) {
      known->second.made = std::chrono::steady_clock::now();
      return true;
    }
  }
  if (Outline(query_id).job().state() == profile::JOB_STATE_UNKNOWN) return false;
  jobs_->Renew(query_id);
  return true;
}

bool QueryService::Cancel(const std::string& query_id) {
  {
    const std::lock_guard lock(mutex_);
    if (known_.erase(query_id) > 0) return true;
  }
  TakeText(query_id);
  return jobs_->Cancel(query_id, Cancelled::CLIENT, "the client cancelled the query") ||
         CancelElsewhere(query_id);
}

}  // namespace ballista::scheduler
