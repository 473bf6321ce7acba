// Clients that read results of the simulation, as the scheduler's ResultReader does: part
// by part, some of them slowly, while executors come and go.
#include <cstring>

#include "ballista/sim/simulation_internal.h"

namespace ballista::sim {

using scheduler::ResultPart;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
// An executor that does not answer is called again so often.
constexpr Time kRetryInterval = seconds(2);
constexpr uint32_t kMaxTries = 15;
}  // namespace

void Simulation::ReadWhenThere(SimulatedJob* job) {
  if (job->abandoned || (job->reader.there && !job->reader.waiting)) return;
  const Time delay =
      job->reader.waiting ? milliseconds(1) : random_.Delay(milliseconds(1), seconds(5));
  job->reader.there = true;
  job->reader.waiting = false;
  ReadLater(delay, *job, &Simulation::FindPart);
}

void Simulation::ReadLater(Time delay, const SimulatedJob& job, ReadStep step) {
  clock_.After(delay, [this, id = job.id, number = job.reader.number, step] {
    SimulatedJob& job = jobs_.at(id);
    // Without a scheduler it is one that has ended.
    if (job.over || down_ || job.reader.number != number) return;
    (this->*step)(&job);
  });
}

// The client comes back, and begins again.
void Simulation::LoseReader(SimulatedJob* job) {
  ++job->reader.number;
  job->reader.there = job->reader.waiting = false;
  job->reader.next_task = job->reader.tries = 0;
  job->reader.rows.clear();
  job->rows_given = false;
}

const std::vector<std::vector<Row>>* Simulation::RowsOf(const SimulatedJob& job,
                                                        const ResultPart& part) {
  const SimulatedExecutor& executor = executors_.at(part.executor.executor_id());
  const auto kept = executor.kept.find(job.id);
  const TaskKey key{job.id, part.stage_id, part.task_index, part.attempt};
  const bool there = executor.Reachable(clock_.now()) && kept != executor.kept.end() &&
                     kept->second.contains(key);
  return there ? &kept->second.at(key) : nullptr;
}

void Simulation::FindPart(SimulatedJob* job) {
  SimulatedReader& reader = job->reader;
  Deliver(scheduler::JobResultRead{job->id, reader.next_task, false});
  if (job->over) return;
  if (!job->result.has_value()) {
    reader.waiting = true;
    return;
  }
  const auto& parts = job->result->parts;
  const auto part = std::find_if(parts.begin(), parts.end(), [&](const ResultPart& one) {
    return one.task_index >= reader.next_task;
  });
  if (part == parts.end()) return EndReading(job);
  reader.part = *part;
  if (!core_->IsResultPart(job->id, part->task_index, part->attempt)) {
    Violation(job->id + " has a part that does not count");
  }
  if (part->inline_result == nullptr && RowsOf(*job, *part) == nullptr) {
    return PartNotThere(job);
  }
  if (part->inline_result == nullptr) {
    reader.starts = executors_.at(part->executor.executor_id()).starts;
  }
  const bool slow = random_.Chance(0.2);
  ReadLater(slow ? random_.Delay(milliseconds(1), seconds(10)) : NetworkDelay(), *job,
            &Simulation::BeginPart);
}

// Cut off, or dead and not yet known to be.
void Simulation::PartNotThere(SimulatedJob* job) {
  const ResultPart& part = job->reader.part;
  if (random_.Chance(0.3)) {
    ++losses_;
    ++job->part_losses;
    Deliver(scheduler::ResultPartLost{job->id, part.task_index, part.attempt, "refused"});
    if (job->over) return;
  }
  ReadLater(kRetryInterval, *job, &Simulation::FindPart);
}

void Simulation::BeginPart(SimulatedJob* job) {
  SimulatedReader& reader = job->reader;
  const ResultPart& part = reader.part;
  std::vector<std::vector<Row>> partitions(1);
  if (part.inline_result != nullptr) {
    partitions[0].resize(part.inline_result->size() / sizeof(Row));
    if (!partitions[0].empty()) {  // memcpy() takes no null, not even of nothing
      std::memcpy(partitions[0].data(), part.inline_result->data(),
                  part.inline_result->size());
    }
  } else {
    const auto* rows = RowsOf(*job, part);
    if (rows == nullptr) return PartNotThere(job);
    if (rows->size() != part.partitions) {
      Violation(job->id + " has a part of the wrong number of partitions");
    }
    partitions = *rows;
  }
  if (!core_->IsResultPart(job->id, part.task_index, part.attempt)) {
    return FindPart(job);  // it was computed again meanwhile
  }
  if (part.rows > 0) {
    job->rows_given = true;
    Deliver(scheduler::JobResultRead{job->id, part.task_index, true});
    if (job->over) return;
  }
  // The client has them from now on, one after the other until EndPart.
  reader.rows.insert(reader.rows.end(), partitions.begin(), partitions.end());
  reader.tries = 0;
  const bool slow = random_.Chance(0.2);
  ReadLater(random_.Delay(milliseconds(1), slow ? Time(seconds(8)) : milliseconds(200)),
            *job, &Simulation::EndPart);
}

void Simulation::EndPart(SimulatedJob* job) {
  SimulatedReader& reader = job->reader;
  const ResultPart& part = reader.part;
  if (part.inline_result == nullptr && part.rows > 0 && RowsOf(*job, part) == nullptr) {
    const SimulatedExecutor& executor = executors_.at(part.executor.executor_id());
    const bool same = executor.alive && executor.starts == reader.starts;
    if (same && executor.Reachable(clock_.now())) {
      Violation(job->id + " has lost a part that was being read, without a reason");
    }
    if (same && ++reader.tries < kMaxTries) {
      return ReadLater(kRetryInterval, *job, &Simulation::EndPart);
    }
    // The client is told so, and that it has to run the query again.
    job->released = true;
    End(job);
    ++report_.jobs_failed;
    ++report_.failures["the result was lost while it was read"];
    if (losses_ == 0)
      Violation(job->id + " was lost while it was read, without a reason");
    Deliver(scheduler::JobReleased{job->id});
    return Forget(job->id);
  }
  reader.next_task = part.task_index + 1;
  if (reader.returns && random_.Chance(0.5)) {
    reader.returns = false;
    LoseReader(job);
    reader.there = true;
  }
  FindPart(job);
}

void Simulation::EndReading(SimulatedJob* job) {
  CheckResult(job, job->reader.rows);
  ++report_.jobs_finished;
  job->released = true;
  End(job);
  Deliver(scheduler::JobReleased{job->id});
  Forget(job->id);
}

}  // namespace ballista::sim
