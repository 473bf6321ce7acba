// Confines a DuckDB instance to the folders of --data-dirs.
#pragma once

#include <duckdb.hpp>
#include <memory>
#include <string>

#include "ballista/security/path_guard.h"

namespace ballista::sandbox {

// Before the instance is made. `guard`: null, and nothing is done. `temp_directory`:
// where the instance spills to; no statement reaches it. Files are opened, listed, made,
// moved and removed inside of the guard's folders only, whatever symbolic links say; no
// extension is loaded, no database attached but in memory, no secret kept.
void Confine(std::shared_ptr<const security::PathGuard> guard,
             const std::string& temp_directory, duckdb::DBConfig* config);

}  // namespace ballista::sandbox
