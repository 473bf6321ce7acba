# cmake -DOUTPUT=file.cc -DFILES="a;b" -DNAMES="a;b" -P EmbedFiles.cmake
#
# Writes ballista::http::EmbeddedFiles(): the files' bytes, by name.
set(bodies "")
set(rows "")
foreach(file name IN ZIP_LISTS FILES NAMES)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(MAKE_C_IDENTIFIER "k_${name}" id)
  string(APPEND bodies "constexpr unsigned char ${id}[] = {${bytes}0};\n")
  string(APPEND rows "      {\"${name}\", {reinterpret_cast<const char*>(${id}), sizeof(${id}) - 1}},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/EmbedFiles.cmake.
#include \"ballista/http/embedded_files.h\"

namespace ballista::http {
namespace {
${bodies}}  // namespace

const std::map<std::string_view, std::string_view>& EmbeddedFiles() {
  static const std::map<std::string_view, std::string_view> files = {
${rows}  };
  return files;
}

}  // namespace ballista::http
")
