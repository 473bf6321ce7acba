#include "ballista/executor/scheduler_links.h"

#include <algorithm>
#include <utility>

#include "ballista/base/log.h"

namespace ballista::executor {
namespace {

constexpr auto kRefreshInterval = std::chrono::seconds(5);
// So long statuses are kept for schedulers of which none answers.
constexpr auto kAllSilent = std::chrono::seconds(10);
constexpr auto kLeavePoll = std::chrono::milliseconds(10);

}  // namespace

SchedulerLinks::SchedulerLinks(std::vector<flight::Address> schedulers, bool follow_dns,
                               control::ExecutorMetadata self,
                               flight::ClientPool* clients,
                               SchedulerLink::Holdings holdings)
    : schedulers_(std::move(schedulers)),
      follow_dns_(follow_dns),
      self_(std::move(self)),
      clients_(clients),
      holdings_(std::move(holdings)),
      reports_(&owners_) {
  // However many schedulers ask for it.
  holdings_.drain = [this, drain = std::move(holdings_.drain)] {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(drain_asked_, true)) return;
    }
    drain();
  };
}

SchedulerLinks::~SchedulerLinks() {
  Stop();
}

std::vector<std::shared_ptr<SchedulerLink>> SchedulerLinks::Links() const {
  const std::lock_guard lock(mutex_);
  return links_;
}

void SchedulerLinks::Start() {
  Refresh();
  if (follow_dns_) refresher_ = std::thread([this] { RunRefresh(); });
}

void SchedulerLinks::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
  }
  wake_.notify_all();
  if (refresher_.joinable()) refresher_.join();
  for (const auto& link : Links()) link->Stop();
}

void SchedulerLinks::RunRefresh() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kRefreshInterval, [this] { return stopping_; })) {
    lock.unlock();
    Refresh();
    lock.lock();
  }
}

void SchedulerLinks::Refresh() {
  const auto addresses = follow_dns_ ? flight::ResolveAll(schedulers_) : schedulers_;
  std::vector<std::shared_ptr<SchedulerLink>> gone;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    for (const auto& address : addresses) {
      const bool there = std::any_of(links_.begin(), links_.end(), [&](const auto& link) {
        return link->address() == address;
      });
      if (there) continue;
      auto link = std::make_shared<SchedulerLink>(address, self_, clients_, holdings_,
                                                  &owners_, &reports_);
      if (draining_) link->StartDraining();
      link->Start();
      links_.push_back(std::move(link));
    }
    // An address that DNS does not know any more is given up once it leads nowhere, or
    // where another one does.
    std::erase_if(links_, [&](const auto& link) {
      if (std::find(addresses.begin(), addresses.end(), link->address()) !=
          addresses.end()) {
        return false;
      }
      const bool twice =
          std::any_of(links_.begin(), links_.end(), [&](const auto& other) {
            return other != link && other->answers() &&
                   other->scheduler_id() == link->scheduler_id();
          });
      if (link->answers() && !twice) return false;
      gone.push_back(link);
      return true;
    });
  }
  for (const auto& link : gone) {
    LOG_INFO("executor", "There is no scheduler at {}:{} any more", link->address().host,
             link->address().port);
    link->Abandon();
  }
}

void SchedulerLinks::StartDraining() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = drain_asked_ = true;
    drain_began_ = std::chrono::steady_clock::now();
  }
  for (const auto& link : Links()) link->StartDraining();
}

bool SchedulerLinks::WaitUntilItMayLeave(std::chrono::milliseconds time,
                                         const std::function<bool()>& nothing_left) {
  using Leave = SchedulerLink::Leave;
  const auto until = std::chrono::steady_clock::now() + time;
  while (true) {
    bool all_say_yes = true;
    bool one_says_no = false;
    bool one_answers = false;
    for (const auto& link : Links()) {
      const auto leave = link->MayLeave();
      one_answers = one_answers || leave != Leave::kUnanswered;
      all_say_yes = all_say_yes && leave == Leave::kYes;
      one_says_no = one_says_no || leave == Leave::kNo;
    }
    if (all_say_yes) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) {
      const bool all_silent = !one_answers && now - drain_began_ > kAllSilent;
      return !one_says_no && nothing_left() && (all_silent || reports_.empty());
    }
    std::this_thread::sleep_for(kLeavePoll);
  }
}

void SchedulerLinks::Report(control::TaskStatus status) {
  reports_.Add(std::move(status));
  for (const auto& link : Links()) link->Wake();
}

arrow::Status SchedulerLinks::Check(const control::LaunchTasksRequest& request) {
  const auto token = [&](const std::string& job_id) -> uint64_t {
    const auto found = request.job_tokens().find(job_id);
    return found == request.job_tokens().end() ? 0 : found->second;
  };
  for (const auto& task : request.tasks()) {
    const std::string& job_id = task.id().job_id();
    auto noted = owners_.NoteLaunch(job_id, token(job_id), request.scheduler_id());
    if (noted.ok()) continue;
    LOG_WARN("executor", "Tasks of scheduler {} are refused: {}", request.scheduler_id(),
             noted.message());
    return noted;
  }
  return arrow::Status::OK();
}

bool SchedulerLinks::IsStale(
    const std::string& job_id,
    const google::protobuf::Map<std::string, uint64_t>& tokens) const {
  const auto token = tokens.find(job_id);
  const bool stale = token != tokens.end() && owners_.IsStale(job_id, token->second);
  if (stale) {
    LOG_WARN("executor",
             "An order about job {} is refused: it is another scheduler's by now",
             job_id);
  }
  return stale;
}

std::vector<std::string> SchedulerLinks::Adopt(const control::AdoptJobsRequest& request) {
  for (const auto& [job_id, token] : request.job_tokens()) {
    owners_.Adopt(job_id, token, request.scheduler_id());
  }
  std::vector<std::string> left;
  if (!request.ended_scheduler_id().empty()) {
    left = owners_.JobsOf(request.ended_scheduler_id());
    std::erase_if(left, [&](const std::string& job_id) {
      return std::find(request.kept_jobs().begin(), request.kept_jobs().end(), job_id) !=
             request.kept_jobs().end();
    });
  }
  for (const auto& link : Links()) {
    if (link->scheduler_id() == request.scheduler_id()) link->RegisterAgain();
    link->Wake();
  }
  return left;
}

void SchedulerLinks::Forget(const std::string& job_id) {
  owners_.Forget(job_id);
  reports_.DropJob(job_id);
}

std::string SchedulerLinks::WhyNotReady() const {
  {
    const std::lock_guard lock(mutex_);
    if (draining_) return "it drains: it takes no more tasks";
  }
  for (const auto& link : Links()) {
    if (link->answers()) return "";
  }
  return "no scheduler has answered it yet, or none does any more";
}

std::vector<flight::Address> SchedulerLinks::Addresses() const {
  std::vector<flight::Address> answering;
  std::vector<flight::Address> others;
  for (const auto& link : Links()) {
    (link->answers() ? answering : others).push_back(link->address());
  }
  answering.insert(answering.end(), others.begin(), others.end());
  return answering;
}

}  // namespace ballista::executor
