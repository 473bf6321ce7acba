#include <cstdio>
#include <utility>

#include "ballista/state/etcd_backend_internal.h"
#include "ballista/state/local_backend_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::state {
namespace {

using nlohmann::json;

constexpr int kPage = 500;
constexpr std::chrono::milliseconds kMinTtl{2000};

int64_t RevisionOf(const json& answer) {
  return answer.contains("header") ? NumberAt(answer["header"], "revision") : 0;
}

bool IsTrue(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_boolean() && it->get<bool>();
}

}  // namespace

json RangeOf(const std::string& prefix) {
  const std::string end = PrefixEnd(prefix);
  return {{"key", Base64(prefix.empty() ? std::string(1, '\0') : prefix)},
          {"range_end", Base64(end.empty() ? std::string(1, '\0') : end)}};
}

arrow::Result<Entry> ReadEntry(const json& kv, const std::string& root) {
  Entry entry;
  const auto text = [&kv](const char* name) {
    const auto it = kv.find(name);
    return it != kv.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  ARROW_ASSIGN_OR_RAISE(entry.key, FromBase64(text("key")));
  ARROW_ASSIGN_OR_RAISE(entry.value, FromBase64(text("value")));
  if (!entry.key.starts_with(root)) {
    return arrow::Status::IOError("etcd gave a key that was not asked for");
  }
  entry.key.erase(0, root.size());
  entry.revision = NumberAt(kv, "mod_revision");
  entry.lease = NumberAt(kv, "lease");
  return entry;
}

EtcdBackend::EtcdBackend(std::vector<std::string> urls, std::string root,
                         EtcdAccess access)
    : client_(std::move(urls), std::move(access)), root_(std::move(root)) {}

arrow::Status EtcdBackend::CheckVersion(Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const json answer, client_.Get("/version", deadline));
  const std::string version =
      answer.contains("etcdserver") && answer["etcdserver"].is_string()
          ? answer["etcdserver"].get<std::string>()
          : "";
  int major = 0;
  int minor = 0;
  int patch = 0;
  if (std::sscanf(version.c_str(), "%d.%d.%d", &major, &minor, &patch) != 3) {
    return arrow::Status::Invalid(Describe(), " does not tell its version: is it etcd?");
  }
  if (std::tuple(major, minor, patch) < std::tuple(3, 4, 9)) {
    return arrow::Status::Invalid(Describe(), " is version ", version,
                                  "; 3.4.9 or later is needed");
  }
  return arrow::Status::OK();
}

arrow::Result<std::optional<Entry>> EtcdBackend::Get(const std::string& key,
                                                     Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(
      const json answer,
      client_.Call("/v3/kv/range", {{"key", Base64(root_ + key)}}, true, deadline));
  if (!answer.contains("kvs") || answer["kvs"].empty()) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(Entry entry, ReadEntry(answer["kvs"][0], root_));
  return entry;
}

arrow::Result<Snapshot> EtcdBackend::List(const std::string& prefix, Deadline deadline) {
  Snapshot snapshot;
  json request = RangeOf(root_ + prefix);
  request["limit"] = kPage;
  while (true) {
    auto page = client_.Call("/v3/kv/range", request, true, deadline);
    if (IsStateError(page.status(), StateError::kCompacted)) {
      // The revision of the first page is not kept any more: once more from the start.
      snapshot = {};
      request = RangeOf(root_ + prefix);
      request["limit"] = kPage;
      continue;
    }
    ARROW_RETURN_NOT_OK(page.status());
    if (snapshot.revision == 0) {
      snapshot.revision = RevisionOf(*page);
      request["revision"] = snapshot.revision;
    }
    if (!page->contains("kvs")) return snapshot;
    for (const json& kv : (*page)["kvs"]) {
      ARROW_ASSIGN_OR_RAISE(Entry entry, ReadEntry(kv, root_));
      snapshot.entries.push_back(std::move(entry));
    }
    if (!IsTrue(*page, "more") || snapshot.entries.empty()) return snapshot;
    request["key"] = Base64(root_ + snapshot.entries.back().key + '\0');
  }
}

arrow::Result<Committed> EtcdBackend::Commit(const Transaction& transaction,
                                             Deadline deadline) {
  ARROW_RETURN_NOT_OK(CheckTransaction(transaction));
  json compares = json::array();
  for (const Compare& compare : transaction.compares) {
    compares.push_back({{"key", Base64(root_ + compare.key)},
                        {"target", "MOD"},
                        {"result", "EQUAL"},
                        {"mod_revision", std::to_string(compare.revision)}});
  }
  json operations = json::array();
  for (const Erase& erase : transaction.erases) {
    const std::string key = root_ + erase.key;
    operations.push_back({{"request_delete_range",
                           erase.prefix ? RangeOf(key) : json{{"key", Base64(key)}}}});
  }
  for (const Put& put : transaction.puts) {
    operations.push_back({{"request_put",
                           {{"key", Base64(root_ + put.key)},
                            {"value", Base64(put.value)},
                            {"lease", std::to_string(put.lease)}}}});
  }
  ARROW_ASSIGN_OR_RAISE(
      const json answer,
      client_.Call("/v3/kv/txn", {{"compare", compares}, {"success", operations}},
                   /*repeatable=*/false, deadline));
  return Committed{IsTrue(answer, "succeeded"), RevisionOf(answer)};
}

arrow::Result<LeaseId> EtcdBackend::GrantLease(std::chrono::milliseconds ttl,
                                               Deadline deadline) {
  if (ttl.count() <= 0) return arrow::Status::Invalid("a lease needs some time");
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::max(ttl, kMinTtl));
  // A lease that was granted without our knowledge ends by itself.
  ARROW_ASSIGN_OR_RAISE(
      const json answer,
      client_.Call("/v3/lease/grant", {{"TTL", std::to_string(seconds.count())}}, true,
                   deadline));
  const LeaseId id = NumberAt(answer, "ID");
  if (id == 0) return arrow::Status::IOError("etcd granted a lease without an id");
  return id;
}

arrow::Status EtcdBackend::KeepAlive(LeaseId lease, Deadline deadline) {
  ARROW_ASSIGN_OR_RAISE(const json answer,
                        client_.Call("/v3/lease/keepalive",
                                     {{"ID", std::to_string(lease)}}, true, deadline));
  if (answer.contains("result") && NumberAt(answer["result"], "TTL") > 0) {
    return arrow::Status::OK();
  }
  return MakeStateError(StateError::kLeaseGone,
                        "lease " + std::to_string(lease) + " has ended");
}

arrow::Status EtcdBackend::RevokeLease(LeaseId lease, Deadline deadline) {
  const arrow::Status status =
      client_.Call("/v3/lease/revoke", {{"ID", std::to_string(lease)}}, true, deadline)
          .status();
  return IsStateError(status, StateError::kLeaseGone) ? arrow::Status::OK() : status;
}

arrow::Result<std::unique_ptr<Watch>> EtcdBackend::StartWatch(const std::string& prefix,
                                                              int64_t from_revision) {
  if (from_revision <= 0) {
    return arrow::Status::Invalid("a watch begins at a revision of 1 or later");
  }
  return StartEtcdWatch(&client_, root_, prefix, from_revision);
}

arrow::Status EtcdBackend::Compact(int64_t revision, Deadline deadline) {
  // etcd drops what was replaced up to the revision, and a watch may begin after it.
  if (revision <= 1) return arrow::Status::OK();
  arrow::Status status =
      client_
          .Call("/v3/kv/compaction", {{"revision", std::to_string(revision)}}, true,
                deadline)
          .status();
  if (IsStateError(status, StateError::kCompacted)) {
    // Compacted beyond it already, or a revision that is yet to come.
    if (status.message().find("future") != std::string::npos) {
      return arrow::Status::Invalid(status.message());
    }
    return arrow::Status::OK();
  }
  return status;
}

}  // namespace ballista::state
