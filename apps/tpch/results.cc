#include "results.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "ballista/base/version.h"

namespace ballista::tpch {

std::string ToJson(const RunResult& run) {
  using Json = nlohmann::ordered_json;
  Json queries = Json::array();
  double total = 0;
  for (const auto& one : run.queries) {
    Json fastest;
    if (!one.milliseconds.empty()) {
      const double least =
          *std::min_element(one.milliseconds.begin(), one.milliseconds.end());
      total += least;
      fastest = least;
    }
    queries.push_back({{"query", one.query},
                       {"milliseconds", one.milliseconds},
                       {"fastest", fastest},
                       {"rows", one.rows},
                       {"verified", one.verified ? Json(*one.verified) : Json()},
                       {"error", one.error.empty() ? Json() : Json(one.error)}});
  }
  const Json json = {{"program", "tpch"},
                     {"version", kVersion},
                     {"started", run.started},
                     {"host", run.host},
                     {"port", run.port},
                     {"path", run.path},
                     {"iterations", run.iterations},
                     {"queries", queries},
                     {"total_fastest", total}};
  // Messages of a server may hold bytes that are no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

arrow::Status WriteJson(const RunResult& run, const std::string& path) {
  const std::string unfinished = path + ".unfinished";
  std::ofstream file(unfinished, std::ios::trunc);
  file << ToJson(run);
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(unfinished, path, error);
  if (!file || error) {
    return arrow::Status::IOError(
        fmt::format("the results cannot be written to {} (--output)", path));
  }
  return arrow::Status::OK();
}

}  // namespace ballista::tpch
