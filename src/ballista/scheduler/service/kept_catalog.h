// The catalog where it is kept: what a statement changes of it is durable before the
// client hears of it, a scheduler that starts has what was there, and schedulers that
// share a store have the same catalog.
//
// Local tables (CREATE TABLE) are not kept: they hold rows, and are this scheduler's.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ballista/scheduler/service/state_keeper.h"
#include "ballista/sql/session.h"

namespace ballista::scheduler {

// Thread-safe. Borrows both.
class KeptCatalog {
 public:
  KeptCatalog(sql::SqlEngine* engine, StateKeeper* keeper);
  ~KeptCatalog();

  // Takes what is kept; follows the changes of others from then on.
  arrow::Status Load();

  // SqlSession::Compile. Of a statement that changes the catalog: the change is durable,
  // or taken back with an error.
  arrow::Result<sql::Statement> Compile(sql::SqlSession* session, const std::string& sql,
                                        const std::vector<plan::Value>& parameters);

  // SqlSession::Describe.
  arrow::Result<sql::SqlSession::Description> Describe(
      sql::SqlSession* session, const std::string& sql,
      const std::vector<plan::Value>& parameters);

  // The same for a client's data frame.
  arrow::Result<sql::Statement> Compile(sql::SqlSession* session,
                                        const dataframe::CommandDataFrame& frame);
  arrow::Result<sql::SqlSession::Description> Describe(
      sql::SqlSession* session, const dataframe::CommandDataFrame& frame);

  // Takes what others have changed and has not come here yet. False: nothing was new.
  arrow::Result<bool> Refresh();

 private:
  // Once more where the catalog turns out to be an old one.
  template <typename Attempt>
  auto WithRefresh(Attempt&& attempt) -> decltype(attempt());
  bool MayBeElsewhere(const arrow::Status& status) const;
  struct Kept {
    std::string bytes;
    int64_t revision = 0;
  };

  arrow::Result<sql::Statement> CompileChange(sql::SqlSession* session,
                                              const std::string& sql,
                                              const std::vector<plan::Value>& parameters);
  arrow::Result<bool> RefreshLocked();
  // The transaction that makes the store have `now`; its keys are as in the catalog.
  state::Transaction Difference(const sql::CatalogObjects& now) const;
  // False: another scheduler has changed one of the same objects.
  arrow::Result<bool> Keep(const sql::CatalogObjects& now);
  void TakeBack(const sql::CatalogObjects& now);
  void Take(const std::vector<state::Change>& changes);
  void Follow(int64_t revision);

  sql::SqlEngine* const engine_;
  StateKeeper* const keeper_;
  std::mutex mutex_;
  std::map<std::string, Kept> kept_;       // as this scheduler has it
  std::map<std::string, int64_t> erased_;  // here, and not seen to be so by the watch
  int64_t revision_ = 0;  // of the store, as of the last look at all of it
  std::atomic<bool> stopping_{false};
  std::thread follower_;
};

}  // namespace ballista::scheduler
