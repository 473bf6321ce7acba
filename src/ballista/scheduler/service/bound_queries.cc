#include "ballista/scheduler/service/bound_queries.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "ballista/base/status.h"

namespace ballista::scheduler {
namespace {

constexpr size_t kMaxQueries = 256;
// Longer than any result is kept for somebody who has not come for it.
constexpr auto kForgetAfter = std::chrono::hours(1);

arrow::Status OfRow(int64_t row, const arrow::Status& status) {
  return status.WithMessage("row ", row + 1, " of the parameters: ", status.message());
}

}  // namespace

struct BoundQueries::Runs {
  std::shared_ptr<sql::SqlSession> session;
  std::string sql;
  std::shared_ptr<arrow::Table> rows;
  std::chrono::steady_clock::time_point made;
  std::atomic<bool> opened{false};
  std::atomic<bool> cancelled{false};
  std::mutex mutex;
  std::string current;  // the run under way; under the mutex

  std::string Current() {
    const std::lock_guard lock(mutex);
    return current;
  }
};

class BoundQueries::Reader : public arrow::RecordBatchReader {
 public:
  Reader(BoundQueries* owner, std::string id, std::shared_ptr<Runs> runs,
         std::function<bool()> abandoned, std::shared_ptr<arrow::RecordBatchReader> first)
      : owner_(owner),
        id_(std::move(id)),
        runs_(std::move(runs)),
        abandoned_(std::move(abandoned)),
        schema_(first->schema()),
        reader_(std::move(first)) {}
  ~Reader() override { owner_->Forget(id_); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    while (reader_ != nullptr) {
      auto status = reader_->ReadNext(batch);
      if (!status.ok()) return OfRow(row_, status);
      if (*batch != nullptr) return status;
      reader_.reset();
      if (++row_ == runs_->rows->num_rows()) break;
      auto next = Next();
      if (!next.ok()) return OfRow(row_, next.status());
      reader_ = std::move(*next);
    }
    batch->reset();
    return arrow::Status::OK();
  }

 private:
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> Next() {
    ARROW_ASSIGN_OR_RAISE(const auto values,
                          runs_->session->ReadParameters(runs_->rows->Slice(row_, 1)));
    const auto abandoned = [this] { return runs_->cancelled || abandoned_(); };
    if (abandoned()) {
      return CancelledStatus("the client cancelled the query", Cancelled::CLIENT);
    }
    ARROW_ASSIGN_OR_RAISE(const auto handle,
                          owner_->queries_->Execute(runs_->session.get(), runs_->sql,
                                                    values.at(0), abandoned,
                                                    /*whole=*/false));
    {
      const std::lock_guard lock(runs_->mutex);
      runs_->current = handle.id;
    }
    ARROW_ASSIGN_OR_RAISE(auto reader,
                          owner_->queries_->OpenResult(handle.id, abandoned));
    if (!reader->schema()->Equals(*schema_, /*check_metadata=*/false)) {
      return UserErrorStatus(
          UserError::BINDER,
          fmt::format("its result has other columns than that of the first row, and they "
                      "cannot be one result: {} instead of {}",
                      reader->schema()->ToString(), schema_->ToString()));
    }
    return reader;
  }

  BoundQueries* const owner_;
  const std::string id_;
  const std::shared_ptr<Runs> runs_;
  const std::function<bool()> abandoned_;
  const std::shared_ptr<arrow::Schema> schema_;
  int64_t row_ = 0;
  std::shared_ptr<arrow::RecordBatchReader> reader_;  // null: at the end
};

arrow::Result<QueryHandle> BoundQueries::Begin(std::shared_ptr<sql::SqlSession> session,
                                               const std::string& sql,
                                               std::shared_ptr<arrow::Table> rows,
                                               const std::function<bool()>& abandoned) {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(queries_by_id_, [&](const auto& one) {
      return !one.second->opened && now - one.second->made > kForgetAfter;
    });
    if (queries_by_id_.size() >= kMaxQueries) {
      return ResourcesExhaustedStatus(
          fmt::format("{} queries with several rows of parameters wait to be read; read "
                      "or cancel some",
                      kMaxQueries),
          ResourcesExhausted::QUEUE, kMaxQueries);
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto values, session->ReadParameters(rows->Slice(0, 1)));
  auto first = queries_->Execute(session.get(), sql, values.at(0), abandoned,
                                 /*whole=*/false);
  if (!first.ok()) return OfRow(0, first.status());
  auto runs = std::make_shared<Runs>();
  runs->session = std::move(session);
  runs->sql = sql;
  runs->rows = std::move(rows);
  runs->made = now;
  runs->current = first->id;
  first->rows = -1;  // of all runs
  const std::lock_guard lock(mutex_);
  queries_by_id_[first->id] = std::move(runs);
  return first;
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> BoundQueries::Open(
    const std::string& id, std::function<bool()> abandoned) {
  std::shared_ptr<Runs> runs;
  {
    const std::lock_guard lock(mutex_);
    const auto found = queries_by_id_.find(id);
    if (found == queries_by_id_.end() || found->second->opened.exchange(true)) {
      return nullptr;
    }
    runs = found->second;
  }
  auto first = queries_->OpenResult(id, abandoned);
  if (!first.ok()) {
    Forget(id);
    return OfRow(0, first.status());
  }
  return std::make_shared<Reader>(this, id, std::move(runs), std::move(abandoned),
                                  std::move(*first));
}

std::optional<std::string> BoundQueries::UserOf(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = queries_by_id_.find(id);
  if (found == queries_by_id_.end()) return std::nullopt;
  return found->second->session->user();
}

bool BoundQueries::Cancel(const std::string& id) {
  std::shared_ptr<Runs> runs;
  {
    const std::lock_guard lock(mutex_);
    const auto found = queries_by_id_.find(id);
    if (found == queries_by_id_.end()) return false;
    runs = found->second;
    if (!runs->opened) queries_by_id_.erase(found);
  }
  runs->cancelled = true;
  queries_->Cancel(runs->Current());
  return true;
}

void BoundQueries::CloseSession(const std::string& session_id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(queries_by_id_, [&](const auto& one) {
    if (one.second->session->id() != session_id) return false;
    one.second->cancelled = true;
    return true;
  });
}

void BoundQueries::Forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  queries_by_id_.erase(id);
}

}  // namespace ballista::scheduler
