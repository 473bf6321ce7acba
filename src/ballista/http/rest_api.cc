#include "ballista/http/rest_api.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "ballista/base/version.h"
#include "ballista/http/embedded_files.h"
#include "ballista/metrics/exposition.h"
#include "ballista/profile/complete.h"
#include "ballista/profile/json.h"

namespace ballista::http {
namespace {

constexpr uint32_t kDefaultPage = 100;
constexpr size_t kMaxFilterText = 1000;
constexpr const char* kTasks = "task_list";

Response Json(const google::protobuf::Message& message) {
  return {200, "application/json", profile::ToJson(message)};
}

Response Error(int status, const std::string& message) {
  profile::ErrorAnswer answer;
  answer.set_error(message);
  return {status, "application/json", profile::ToJson(answer)};
}

Response Error(const arrow::Status& status) {
  if (status.IsKeyError()) return Error(404, status.message());
  return Error(status.IsInvalid() ? 400 : 500, status.message());
}

Response Said(const std::string& what) {
  profile::Done done;
  done.set_done(what);
  return Json(done);
}

std::string Parameter(const Request& request, const std::string& name) {
  const auto found = request.parameters.find(name);
  return found == request.parameters.end() ? "" : found->second;
}

// Errors: Invalid for what is no number up to `most`.
arrow::Result<uint32_t> Number(const Request& request, const std::string& name,
                               uint32_t otherwise, uint32_t most) {
  const std::string text = Parameter(request, name);
  if (text.empty()) return otherwise;
  uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) {
    return arrow::Status::Invalid("'", name, "' is a number from 0 to ", most);
  }
  return value;
}

// Errors: Invalid for a parameter that the path does not have.
arrow::Status OnlyHas(const Request& request, std::vector<std::string> names) {
  for (const auto& [name, value] : request.parameters) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::string known;
    for (const auto& one : names) known += (known.empty() ? "" : ", ") + one;
    return arrow::Status::Invalid("there is no parameter '", profile::Cut(name, 100),
                                  "' here", known.empty() ? "" : ", only: ", known);
  }
  return arrow::Status::OK();
}

arrow::Result<JobFilter> ParseFilter(const Request& request) {
  ARROW_RETURN_NOT_OK(OnlyHas(request, {"state", "text", "offset", "limit"}));
  JobFilter filter;
  filter.who = request.who;
  const std::string state = Parameter(request, "state");
  for (const auto one : {profile::JOB_STATE_QUEUED, profile::JOB_STATE_RUNNING,
                         profile::JOB_STATE_FINISHED, profile::JOB_STATE_FAILED,
                         profile::JOB_STATE_CANCELLED}) {
    std::string name = profile::JobState_Name(one).substr(sizeof("JOB_STATE_") - 1);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c | 0x20; });
    if (name == state) filter.state = one;
  }
  if (!state.empty() && filter.state == profile::JOB_STATE_UNKNOWN) {
    return arrow::Status::Invalid(
        "'state' is queued, running, finished, failed or cancelled");
  }
  filter.text = Parameter(request, "text");
  if (filter.text.size() > kMaxFilterText) {
    return arrow::Status::Invalid("'text' has at most ", kMaxFilterText, " bytes");
  }
  ARROW_ASSIGN_OR_RAISE(filter.offset, Number(request, "offset", 0, 1 << 30));
  ARROW_ASSIGN_OR_RAISE(filter.limit, Number(request, "limit", kDefaultPage, kMaxPage));
  return filter;
}

profile::StageTask Row(uint32_t stage, const profile::TaskProfile& task) {
  profile::StageTask row;
  row.set_stage(stage);
  row.set_index(task.index());
  row.set_attempt(task.attempt());
  row.set_state(task.state());
  row.set_executor_id(task.executor_id());
  row.set_started_us(task.started_us());
  row.set_elapsed_us(task.elapsed_us());
  row.set_failures(task.failures());
  row.set_rows_in(task.metrics().input_rows());
  row.set_bytes_in(task.metrics().input_bytes());
  row.set_rows_out(task.metrics().output_rows());
  row.set_bytes_out(task.metrics().output_bytes());
  row.set_spilled_bytes(task.metrics().spilled_bytes());
  return row;
}

arrow::Result<profile::TaskList> Tasks(const profile::QueryProfile& profile,
                                       const Request& request) {
  ARROW_RETURN_NOT_OK(OnlyHas(request, {"stage", "offset", "limit"}));
  constexpr uint32_t kAny = 1 << 30;
  ARROW_ASSIGN_OR_RAISE(const uint32_t wanted, Number(request, "stage", kAny, kAny - 1));
  profile::TaskList list;
  ARROW_ASSIGN_OR_RAISE(const uint32_t offset, Number(request, "offset", 0, kAny));
  ARROW_ASSIGN_OR_RAISE(const uint32_t limit,
                        Number(request, "limit", kDefaultPage, kMaxPage));
  list.set_offset(offset);
  list.set_limit(limit);
  uint32_t seen = 0;
  for (const auto& stage : profile.stages()) {
    if (wanted != kAny && stage.id() != wanted) continue;
    for (const auto& task : stage.task_list()) {
      if (seen >= offset && seen < offset + limit)
        *list.add_tasks() = Row(stage.id(), task);
      ++seen;
    }
  }
  list.set_total(seen);
  return list;
}

class RestApi {
 public:
  explicit RestApi(Sources sources) : sources_(std::move(sources)) {}

  Response operator()(const Request& request) const {
    const auto& path = request.path;
    const bool get = request.method == "GET";
    std::optional<Response> answer;
    if (!path.empty() && path[0] == "health") answer = Health(request);
    if (!path.empty() && path[0] == "api") {
      answer = get ? Read(request) : Write(request);
    } else if (!answer.has_value() && get) {
      answer = File(request);
    }
    if (answer.has_value()) return std::move(*answer);
    return Error(404, "there is nothing at this path; /openapi.json says what there is");
  }

 private:
  std::optional<Response> Health(const Request& request) const {
    const auto& path = request.path;
    if (request.method != "GET" || path.size() > 2) return std::nullopt;
    if (path.size() == 1 || path[1] == "live") return Response{200, "text/plain", "ok\n"};
    if (path[1] != "ready" || !sources_.ready) return std::nullopt;
    const auto ready = sources_.ready();
    Response response = Json(ready);
    if (!ready.ready()) response.status = 503;
    return response;
  }

  std::optional<Response> File(const Request& request) const {
    if (request.path.size() > 1) return std::nullopt;
    const std::string name = request.path.empty() ? "index.html" : request.path[0];
    if (name == "version") {
      profile::VersionInfo version;
      version.set_version(kVersion);
      version.set_wire_version(kWireVersion);
      return Json(version);
    }
    if (name == "metrics" && sources_.metrics) {
      return Response{200, metrics::Exposition::kContentType, sources_.metrics()};
    }
    const auto file = EmbeddedFiles().find(name);
    // The page is of a scheduler.
    if (file == EmbeddedFiles().end() || !sources_.jobs) return std::nullopt;
    return Response{200, TypeOf(name), std::string(file->second)};
  }

  static const char* TypeOf(const std::string& name) {
    if (name.ends_with(".html")) return "text/html; charset=utf-8";
    if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
    if (name.ends_with(".css")) return "text/css; charset=utf-8";
    return "application/json";
  }

  std::optional<Response> Read(const Request& request) const {
    const auto& path = request.path;
    const std::string what = path.size() > 1 ? path[1] : "";
    if (what == "jobs" && sources_.jobs) {
      if (path.size() > 2) return OneJob(request);
      auto filter = ParseFilter(request);
      return filter.ok() ? Json(sources_.jobs(*filter)) : Error(filter.status());
    }
    if (path.size() != 2) return std::nullopt;
    const auto none = OnlyHas(request, {});
    if (!none.ok()) return Error(none);
    if (what == "cluster" && sources_.overview) return Json(sources_.overview());
    if (what == "executors" && sources_.executors) return Json(sources_.executors());
    if (what == "config" && sources_.config) return Json(sources_.config());
    return std::nullopt;
  }

  // /api/jobs/ID, and what is below it.
  std::optional<Response> OneJob(const Request& request) const {
    const auto& path = request.path;
    const std::string what = path.size() > 3 ? path[3] : "";
    const bool stage = what == "stages" && path.size() == 5;
    if (path.size() > 4 && !stage) return std::nullopt;
    const auto known = what == "tasks" ? arrow::Status::OK() : OnlyHas(request, {});
    if (!known.ok()) return Error(known);
    auto found = sources_.profile(request.who, path[2]);
    if (!found.ok()) return Error(found.status());
    const profile::QueryProfile& profile = **found;
    if (path.size() == 3) return Json(profile.job());
    if (what == "profile") {
      Response response = Json(profile);
      response.headers = {{"Content-Disposition",
                           "inline; filename=\"" + profile.job().job_id() + ".json\""}};
      return response;
    }
    if (what == "plan") {
      return Response{200, "text/plain; charset=utf-8", profile::PlanText(profile)};
    }
    // The profile but for the tasks, of which there may be many.
    if (what == "overview") return Response{.body = profile::ToJson(profile, kTasks)};
    if (what == "tasks") {
      auto tasks = Tasks(profile, request);
      return tasks.ok() ? Json(*tasks) : Error(tasks.status());
    }
    if (what != "stages") return std::nullopt;
    return stage ? OneStage(profile, path[4]) : Stages(profile);
  }

  static Response Stages(const profile::QueryProfile& profile) {
    Response response;
    response.body = "{\"stages\":[";
    for (const auto& stage : profile.stages()) {
      if (response.body.back() == '}') response.body += ',';
      response.body += profile::ToJson(stage, kTasks);
    }
    response.body += "]}";
    return response;
  }

  static Response OneStage(const profile::QueryProfile& profile, const std::string& id) {
    for (const auto& stage : profile.stages()) {
      if (std::to_string(stage.id()) == id) return Json(stage);
    }
    return Error(404, "job " + profile.job().job_id() + " has no such stage");
  }

  std::optional<Response> Write(const Request& request) const {
    const auto& path = request.path;
    if (path.size() != 4) return std::nullopt;
    if (path[1] == "jobs" && path[3] == "cancel" && sources_.cancel) {
      const auto cancelled = sources_.cancel(request.who, path[2]);
      return cancelled.ok() ? Said("the job is cancelled") : Error(cancelled);
    }
    if (path[1] == "executors" && path[3] == "drain" && sources_.drain) {
      if (!request.who.MayManage()) return Error(403, security::kForAdministrators);
      const auto drained = sources_.drain(path[2]);
      if (!drained.ok()) return Error(drained.status());
      return Said("executor " + *drained +
                  " takes no more tasks, and leaves once nothing of it is needed");
    }
    return std::nullopt;
  }

  const Sources sources_;
};

}  // namespace

HttpServer::Handler MakeRestApi(Sources sources) {
  return [api = std::make_shared<const RestApi>(std::move(sources))](
             const Request& request) { return (*api)(request); };
}

}  // namespace ballista::http
