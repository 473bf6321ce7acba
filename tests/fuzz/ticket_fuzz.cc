// Fetch tickets against a store that has an output in memory and one on disk: an error,
// or rows that are whole.
#include <arrow/api.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/plan/plan.h"
#include "ballista/shuffle/output_reader.h"
#include "ballista/shuffle/shuffle_store.h"

namespace ballista::shuffle {
namespace {

constexpr int64_t kRows = 1000;
constexpr uint32_t kPartitions = 4;

void Must(const arrow::Status& status) {
  if (!status.ok()) std::abort();
}

std::shared_ptr<arrow::RecordBatch> MakeBatch() {
  arrow::Int64Builder ids;
  arrow::StringBuilder names;
  for (int64_t i = 0; i < kRows; ++i) {
    Must(ids.Append(i));
    Must(names.Append(std::string(static_cast<size_t>(i % 50), 'x')));
  }
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64()), arrow::field("s", arrow::utf8())});
  return arrow::RecordBatch::Make(schema, kRows, {*ids.Finish(), *names.Finish()});
}

void Write(ShuffleStore* store, uint32_t task) {
  job::TaskId id;
  id.set_job_id("job");
  id.set_stage_id(1);
  id.set_task_index(task);
  job::Output output;
  output.set_kind(job::Output::HASH);
  output.set_partitions(kPartitions);
  auto writer = store->CreateOutput(id, output).ValueOrDie();
  PartitionedBatch cut;
  cut.batch = MakeBatch();
  for (uint32_t p = 0; p <= kPartitions; ++p) {
    cut.offsets.push_back(static_cast<uint32_t>(kRows * p / kPartitions));
  }
  Must(writer->SetSchema(cut.batch->schema()));
  Must(writer->Write(std::move(cut)));
  Must(writer->Commit().status());
}

// One in memory, and one whose limit of 0 sends everything to disk.
std::vector<std::unique_ptr<ShuffleStore>>& Stores() {
  static auto& stores = *new std::vector<std::unique_ptr<ShuffleStore>>();
  if (!stores.empty()) return stores;
  for (const int64_t limit : {int64_t{1} << 30, int64_t{0}}) {
    StoreOptions options;
    const char* folder = std::getenv("FUZZ_FOLDER");
    options.work_dirs = {folder == nullptr ? "/tmp/ballista-ticket-fuzz" : folder};
    options.memory_limit = limit;
    stores.push_back(ShuffleStore::Open(std::move(options)).ValueOrDie());
    for (const uint32_t task : {0U, 1U}) Write(stores.back().get(), task);
  }
  return stores;
}

void Read(std::string_view bytes) {
  control::FetchTicket ticket;
  if (!plan::ParseMessage(bytes, &ticket).ok()) return;
  // Each range may be asked for many times, which is slow and not wrong.
  if (ticket.outputs_size() > 20) return;
  for (const auto& store : Stores()) {
    auto reader =
        store->Read(ticket.job_id(), {ticket.outputs().begin(), ticket.outputs().end()});
    if (!reader.ok()) continue;
    while (true) {
      const auto batch = (*reader)->Next();
      if (!batch.ok() || *batch == nullptr) break;
      Must((*batch)->ValidateFull());
    }
  }
}

}  // namespace
}  // namespace ballista::shuffle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ballista::shuffle::Read({reinterpret_cast<const char*>(data), size});
  return 0;
}
