// The files of web/, as they were when this was built.
#pragma once

#include <map>
#include <string_view>

namespace ballista::http {

// By name ("index.html").
const std::map<std::string_view, std::string_view>& EmbeddedFiles();

}  // namespace ballista::http
