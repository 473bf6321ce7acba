// Entries in one SQLite file. Write-ahead log with a sync at each commit: what is
// committed outlives a loss of power.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "ballista/state/local_backend_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::state {
namespace {

constexpr int kFormat = 1;

constexpr const char* kSchema = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO meta VALUES ('revision', 0);
CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL,
                      revision INTEGER NOT NULL, lease INTEGER NOT NULL);
CREATE INDEX leased ON entries (lease) WHERE lease <> 0;
CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl_ms INTEGER NOT NULL);
PRAGMA user_version = 1;
)";

// A file that says which process has the folder open; the lock goes with the process.
class FolderLock {
 public:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  FolderLock(FolderLock&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  static arrow::Result<FolderLock> Take(const std::string& folder) {
    const std::string path = folder + "/lock";
    FolderLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock.descriptor_ < 0) {
      return arrow::Status::IOError("cannot write in the state folder ", folder, ": ",
                                    strerror(errno));
    }
    if (flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
      char holder[32] = {};
      const ssize_t read = pread(lock.descriptor_, holder, sizeof(holder) - 1, 0);
      return MakeStateError(
          StateError::kInUse,
          "the state folder " + folder + " is in use by another scheduler" +
              (read > 0 ? " (process " + std::string(holder) + ")" : "") +
              ": stop it, or choose another folder");
    }
    const std::string pid = std::to_string(getpid());
    if (ftruncate(lock.descriptor_, 0) != 0 ||
        pwrite(lock.descriptor_, pid.data(), pid.size(), 0) < 0) {
      return arrow::Status::IOError("cannot write ", path, ": ", strerror(errno));
    }
    return lock;
  }

 private:
  int descriptor_;
};

class SqliteStorage : public Storage {
 public:
  SqliteStorage(std::string folder, FolderLock lock)
      : folder_(std::move(folder)), lock_(std::move(lock)) {}
  ~SqliteStorage() override {
    for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(database_);
  }

  arrow::Status Open();
  std::string Describe() const override { return "sqlite in " + folder_; }
  bool durable() const override { return true; }
  arrow::Result<Contents> Load() override;
  arrow::Result<std::optional<Entry>> Get(const std::string& key) override;
  arrow::Result<std::vector<Entry>> List(const std::string& prefix) override;
  arrow::Status Apply(const Batch& batch) override;

 private:
  // One run of a prepared statement: binds by position from 1, reads columns from 0.
  class Query {
   public:
    Query(SqliteStorage* storage, const char* sql)
        : storage_(storage), statement_(storage->Prepared(sql)) {}
    ~Query() {
      sqlite3_reset(statement_);
      sqlite3_clear_bindings(statement_);
    }
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

    Query& Blob(const std::string& bytes) {
      sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(),
                          SQLITE_STATIC);
      return *this;
    }
    Query& Int(int64_t value) {
      sqlite3_bind_int64(statement_, ++bound_, value);
      return *this;
    }
    // False: no further row.
    arrow::Result<bool> Step() {
      const int code = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
      if (code == SQLITE_ROW) return true;
      if (code == SQLITE_DONE) return false;
      return storage_->Error();
    }
    arrow::Status Run() { return Step().status(); }
    int64_t IntAt(int column) const { return sqlite3_column_int64(statement_, column); }
    std::string BlobAt(int column) const {
      const void* bytes = sqlite3_column_blob(statement_, column);
      const int size = sqlite3_column_bytes(statement_, column);
      return bytes == nullptr ? std::string()
                              : std::string(static_cast<const char*>(bytes),
                                            static_cast<size_t>(size));
    }

   private:
    SqliteStorage* const storage_;
    sqlite3_stmt* const statement_;
    int bound_ = 0;
  };

  // Null when it cannot be prepared; running it tells why.
  sqlite3_stmt* Prepared(const char* sql);
  arrow::Status Execute(const char* sql);
  arrow::Status Error() const;
  arrow::Status Write(const Batch& batch);

  const std::string folder_;
  const FolderLock lock_;
  sqlite3* database_ = nullptr;
  std::map<std::string, sqlite3_stmt*> statements_;
};

sqlite3_stmt* SqliteStorage::Prepared(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr) {
    sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr);
  }
  return statement;
}

arrow::Status SqliteStorage::Error() const {
  const int code = sqlite3_errcode(database_) & 0xff;
  const std::string message =
      folder_ + "/state.sqlite: " + std::string(sqlite3_errmsg(database_));
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
    return MakeStateError(StateError::kDamaged,
                          message + "; move it away to start without it");
  }
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
    return MakeStateError(StateError::kInUse, message + ": another program has it open");
  }
  return MakeStateError(StateError::kUnavailable, message);
}

arrow::Status SqliteStorage::Execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) {
    return arrow::Status::OK();
  }
  return Error();
}

arrow::Status SqliteStorage::Open() {
  const std::string path = folder_ + "/state.sqlite";
  if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) return Error();
  ARROW_RETURN_NOT_OK(Execute("PRAGMA locking_mode = EXCLUSIVE"));
  ARROW_RETURN_NOT_OK(Execute("PRAGMA journal_mode = WAL"));
  ARROW_RETURN_NOT_OK(Execute("PRAGMA synchronous = FULL"));
  int64_t format = 0;
  {
    Query query(this, "PRAGMA user_version");
    ARROW_RETURN_NOT_OK(query.Step());
    format = query.IntAt(0);
  }
  if (format == 0) {
    ARROW_RETURN_NOT_OK(Execute("BEGIN"));
    ARROW_RETURN_NOT_OK(Execute(kSchema));
    return Execute("COMMIT");
  }
  if (format == kFormat) return arrow::Status::OK();
  return MakeStateError(StateError::kDamaged,
                        path + " has format " + std::to_string(format) +
                            "; this version reads format " + std::to_string(kFormat) +
                            ": start the version that wrote it, or move it away");
}

arrow::Result<Storage::Contents> SqliteStorage::Load() {
  Contents contents;
  Query revision(this, "SELECT value FROM meta WHERE name = 'revision'");
  ARROW_ASSIGN_OR_RAISE(const bool found, revision.Step());
  if (!found) {
    return MakeStateError(StateError::kDamaged,
                          folder_ +
                              "/state.sqlite has no revision; move it away to "
                              "start without it");
  }
  contents.revision = revision.IntAt(0);
  Query leases(this, "SELECT id, ttl_ms FROM leases");
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool more, leases.Step());
    if (!more) break;
    contents.leases[leases.IntAt(0)].ttl = std::chrono::milliseconds(leases.IntAt(1));
  }
  Query keys(this, "SELECT lease, key FROM entries WHERE lease <> 0");
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool more, keys.Step());
    if (!more) break;
    contents.leases[keys.IntAt(0)].keys.insert(keys.BlobAt(1));
  }
  return contents;
}

arrow::Result<std::optional<Entry>> SqliteStorage::Get(const std::string& key) {
  Query query(this, "SELECT value, revision, lease FROM entries WHERE key = ?");
  ARROW_ASSIGN_OR_RAISE(const bool found, query.Blob(key).Step());
  if (!found) return std::nullopt;
  return Entry{key, query.BlobAt(0), query.IntAt(1), query.IntAt(2)};
}

arrow::Result<std::vector<Entry>> SqliteStorage::List(const std::string& prefix) {
  const std::string end = PrefixEnd(prefix);
  Query query(this, end.empty() ? "SELECT key, value, revision, lease FROM entries "
                                  "WHERE key >= ? ORDER BY key"
                                : "SELECT key, value, revision, lease FROM entries "
                                  "WHERE key >= ? AND key < ? ORDER BY key");
  query.Blob(prefix);
  if (!end.empty()) query.Blob(end);
  std::vector<Entry> entries;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool more, query.Step());
    if (!more) return entries;
    entries.push_back({query.BlobAt(0), query.BlobAt(1), query.IntAt(2), query.IntAt(3)});
  }
}

arrow::Status SqliteStorage::Apply(const Batch& batch) {
  ARROW_RETURN_NOT_OK(Execute("BEGIN IMMEDIATE"));
  arrow::Status status = Write(batch);
  if (status.ok()) status = Execute("COMMIT");
  // Left open (a disk that is full), it would take in the next batch, too.
  if (!status.ok() && sqlite3_get_autocommit(database_) == 0) {
    ARROW_UNUSED(Execute("ROLLBACK"));
  }
  return status;
}

arrow::Status SqliteStorage::Write(const Batch& batch) {
  for (const std::string& key : batch.erased) {
    ARROW_RETURN_NOT_OK(Query(this, "DELETE FROM entries WHERE key = ?").Blob(key).Run());
  }
  for (const Entry& entry : batch.put) {
    ARROW_RETURN_NOT_OK(Query(this, "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)")
                            .Blob(entry.key)
                            .Blob(entry.value)
                            .Int(entry.revision)
                            .Int(entry.lease)
                            .Run());
  }
  for (const LeaseId id : batch.leases_ended) {
    ARROW_RETURN_NOT_OK(Query(this, "DELETE FROM leases WHERE id = ?").Int(id).Run());
  }
  for (const auto& [id, ttl] : batch.leases_granted) {
    ARROW_RETURN_NOT_OK(
        Query(this, "INSERT INTO leases VALUES (?, ?)").Int(id).Int(ttl.count()).Run());
  }
  return Query(this, "UPDATE meta SET value = ? WHERE name = 'revision'")
      .Int(batch.revision)
      .Run();
}

}  // namespace

arrow::Result<std::unique_ptr<Storage>> OpenSqliteStorage(const std::string& folder) {
  std::error_code error;
  // What is kept may hold secrets of queries.
  if (std::filesystem::create_directories(folder, error)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  if (error) {
    return arrow::Status::IOError("cannot make the state folder ", folder, ": ",
                                  error.message());
  }
  ARROW_ASSIGN_OR_RAISE(auto lock, FolderLock::Take(folder));
  auto storage = std::make_unique<SqliteStorage>(folder, std::move(lock));
  ARROW_RETURN_NOT_OK(storage->Open());
  return storage;
}

}  // namespace ballista::state
