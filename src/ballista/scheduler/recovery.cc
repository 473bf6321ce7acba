#include <algorithm>
#include <optional>

#include "ballista/scheduler/recovery_internal.h"

namespace ballista::scheduler {
namespace {

// FNV-1a.
uint64_t Digest(uint64_t digest, const std::string& bytes) {
  for (const char byte : bytes) {
    digest = (digest ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  }
  return digest;
}

// Never 0, which says that there is none.
uint64_t Fingerprint(const job::Stage& stage, record::StageFormation formation) {
  formation.clear_fingerprint();
  const uint64_t digest = Digest(Digest(0xcbf29ce484222325ULL, stage.SerializeAsString()),
                                 formation.SerializeAsString());
  return std::max<uint64_t>(digest, 1);
}

// Finished ones before running ones, then the later attempt.
bool Better(const control::HeldOutput& a, const control::HeldOutput& b) {
  if (a.finished() != b.finished()) return a.finished();
  return a.id().attempt() > b.id().attempt();
}

class Chooser {
 public:
  Chooser(const JobState& job, const std::vector<JobRecovery::Held>& held)
      : job_(job), held_(held), by_stage_(job.stages.size()) {
    for (size_t i = 0; i < held.size(); ++i) {
      const job::TaskId& id = held[i].output.id();
      if (id.stage_id() >= job.stages.size()) continue;
      const StageState& stage = job.stages[id.stage_id()];
      if (!stage.formed || id.task_index() >= stage.tasks.size()) continue;
      if (held[i].output.fingerprint() != stage.fingerprint) continue;
      by_stage_[id.stage_id()].push_back(static_cast<int>(i));
    }
  }

  std::vector<std::vector<int>> Choose() {
    for (uint32_t id = 0; id < job_.stages.size(); ++id) {
      const StageState& stage = job_.stages[id];
      std::vector<int>& chosen = chosen_.emplace_back(stage.tasks.size(), -1);
      const std::optional<uint64_t> digest = DigestOfChosen(id);
      for (const int i : by_stage_[id]) {
        const control::HeldOutput& output = held_[i].output;
        int& best = chosen[output.id().task_index()];
        if (!digest.has_value() || output.inputs_digest() != *digest) continue;
        if (best < 0 || Better(output, held_[best].output)) best = i;
      }
    }
    return std::move(chosen_);
  }

 private:
  // What was read must be what others will read. Nothing: that is not there any more.
  std::optional<uint64_t> DigestOfChosen(uint32_t stage) const {
    bool there = true;
    const uint64_t digest =
        job_.InputsDigest(stage, [&](uint32_t producer, uint32_t task) -> uint32_t {
          const int chosen = chosen_[producer][task];
          there = there && chosen >= 0 && held_[chosen].output.finished();
          return there ? held_[chosen].output.id().attempt() : 0;
        });
    if (!there) return std::nullopt;
    return digest;
  }

  const JobState& job_;
  const std::vector<JobRecovery::Held>& held_;
  std::vector<std::vector<int>> by_stage_;
  std::vector<std::vector<int>> chosen_;
};

}  // namespace

record::StageFormation MakeFormation(const job::Stage& stage,
                                     const std::vector<TaskShare>& shares) {
  record::StageFormation formation;
  formation.set_stage_id(stage.id());
  for (const TaskShare& share : shares) {
    record::TaskShare* kept = formation.add_shares();
    kept->set_first_partition(share.first_partition);
    kept->set_last_partition(share.last_partition);
    for (const auto& positions : share.outputs) {
      kept->add_outputs()->mutable_positions()->Add(positions.begin(), positions.end());
    }
    kept->mutable_scans()->Add(share.scans.begin(), share.scans.end());
    kept->set_piece(share.piece);
    kept->set_pieces(share.pieces);
    kept->set_split_input(static_cast<uint32_t>(share.split_input));
    kept->mutable_split_outputs()->Add(share.split_outputs.begin(),
                                       share.split_outputs.end());
    if (share.lower_key) kept->set_lower_key(*share.lower_key);
    if (share.upper_key) kept->set_upper_key(*share.upper_key);
  }
  formation.set_fingerprint(Fingerprint(stage, formation));
  return formation;
}

bool IsFormationOf(const record::StageFormation& formation, const job::Stage& stage) {
  return formation.shares_size() > 0 && formation.stage_id() == stage.id() &&
         formation.fingerprint() == Fingerprint(stage, formation);
}

std::vector<TaskShare> SharesOf(const record::StageFormation& formation) {
  std::vector<TaskShare> shares;
  for (const record::TaskShare& kept : formation.shares()) {
    TaskShare& share = shares.emplace_back();
    share.first_partition = kept.first_partition();
    share.last_partition = kept.last_partition();
    for (const record::Positions& positions : kept.outputs()) {
      share.outputs.emplace_back(positions.positions().begin(),
                                 positions.positions().end());
    }
    share.scans.assign(kept.scans().begin(), kept.scans().end());
    share.piece = kept.piece();
    share.pieces = kept.pieces();
    share.split_input = kept.split_input();
    share.split_outputs.assign(kept.split_outputs().begin(), kept.split_outputs().end());
    if (kept.has_lower_key()) share.lower_key = kept.lower_key();
    if (kept.has_upper_key()) share.upper_key = kept.upper_key();
  }
  return shares;
}

std::vector<std::vector<int>> ChooseHeld(const JobState& job,
                                         const std::vector<JobRecovery::Held>& held) {
  return Chooser(job, held).Choose();
}

}  // namespace ballista::scheduler
