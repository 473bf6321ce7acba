// What the sessions of one SqlEngine share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>
#include <utility>

#include "ballista/catalog/file_catalog.h"
#include "ballista/catalog/upload_store.h"
#include "ballista/sql/pch_internal.h"
#include "ballista/sql/session.h"

namespace ballista::sql {

struct EngineState {
  EngineState(duckdb::DBConfig* config, std::shared_ptr<catalog::UploadStore> store)
      : uploads(std::move(store)), database(nullptr, config) {
    files.SetUploads(uploads);
  }
  ~EngineState() {
    if (uploads != nullptr) uploads->Clear();
  }

  const std::shared_ptr<catalog::UploadStore> uploads;  // null: there are none

  duckdb::DuckDB database;
  std::shared_ptr<const security::PathGuard> guard;  // null: every path is allowed
  catalog::FileCatalog files;
  // Held shared while a statement is planned, and alone while one changes the catalog,
  // local tables, or the few settings that DuckDB has for the instance alone and that a
  // session sets for itself (see session_settings.cc).
  std::shared_mutex mutex;
  // Goes up with each statement that may have changed what another one reads.
  std::atomic<uint64_t> changes{0};
};

// How long text is parsed: one statement after the other, comments and empty ones gone.
arrow::Result<std::vector<std::string>> SplitText(duckdb::ClientContext& context,
                                                  const std::string& sql);

}  // namespace ballista::sql
