// Has a DuckDB instance read the files of uploads (base/upload_reader.h) by their paths.
#pragma once

#include <duckdb.hpp>
#include <memory>

#include "ballista/base/upload_reader.h"

namespace ballista::sandbox {

// Before the instance is made, and after Confine, which then allows these paths. They can
// be read and nothing else, whatever statements say.
void ServeUploads(std::shared_ptr<UploadReader> reader, duckdb::DBConfig* config);

}  // namespace ballista::sandbox
