#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "ballista/base/nearest_name.h"
#include "ballista/config/sources.h"

namespace ballista::config {
namespace {

using arrow::Status;

Status Unreadable(const std::string& path, int error) {
  return Status::IOError(
      fmt::format("config file {}: cannot be read: {}", path, std::strerror(error)));
}

arrow::Result<std::string> ReadAll(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return Unreadable(path, EISDIR);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file.is_open()) return Unreadable(path, errno);
  // An empty file gives nothing to copy, which also sets the other stream's fail bit.
  text << file.rdbuf();
  if (file.bad()) return Unreadable(path, EIO);
  return text.str();
}

std::string At(const std::string& path, const toml::source_region& where) {
  return fmt::format("{}:{}", path, where.begin.line);
}

Status UnknownKey(const ProgramSpec& program, const std::string& key,
                  const std::string& source) {
  std::vector<std::string> known;
  for (const auto& spec : program.options) {
    if (spec.in_file) known.push_back(FileKey(spec.name));
  }
  const auto* option = program.Find(key == "config_file" ? "config-file" : key);
  if (option != nullptr && !option->in_file) {
    return Status::Invalid(fmt::format(
        "{}: \"{}\" cannot stand in a config file; the nearest known key is \"{}\"",
        source, key, NearestName(FileKey(key), known)));
  }
  return Status::Invalid(
      fmt::format("{}: unknown key \"{}\"; the nearest known one is \"{}\"", source, key,
                  NearestName(FileKey(key), known)));
}

// A value as text, where TOML's type suits the option's: numbers may be quoted, text may
// not be bare.
std::optional<std::string> TextOf(const OptionSpec& spec, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  const bool takes_number =
      spec.type == OptionType::kNumber || spec.type == OptionType::kBytes;
  if (const auto* number = node.as_integer(); number != nullptr && takes_number) {
    return std::to_string(number->get());
  }
  if (const auto* flag = node.as_boolean();
      flag != nullptr && spec.type == OptionType::kBool) {
    return flag->get() ? "true" : "false";
  }
  return std::nullopt;
}

const char* ExpectedTomlType(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kNumber:
      return "a whole number";
    case OptionType::kBytes:
      return "a size in quotes, such as \"2GiB\", or a number of bytes";
    case OptionType::kDuration:
      return "a duration in quotes, such as \"10s\"";
    case OptionType::kBool:
      return "true or false";
    default:
      return "text in quotes";
  }
}

arrow::Result<toml::table> ParseToml(const std::string& text, const std::string& path) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    std::string what(error.description());
    std::replace(what.begin(), what.end(), '\n', ' ');
    return Status::Invalid(
        fmt::format("{}: not valid TOML: {}", At(path, error.source()), what));
  }
}

// The table iterates by name; messages shall speak of the first line that is wrong.
std::vector<std::pair<std::string, const toml::node*>> ByLine(const toml::table& table) {
  std::vector<std::pair<std::string, const toml::node*>> entries;
  for (const auto& [key, node] : table) entries.emplace_back(key.str(), &node);
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.second->source().begin < b.second->source().begin;
  });
  return entries;
}

arrow::Result<SourceValues> ReadTable(const ProgramSpec& program, const std::string& path,
                                      const toml::table& table) {
  SourceValues values;
  for (const auto& entry : ByLine(table)) {
    // No structured binding: a lambda of C++20 may not capture one, says clang 14.
    const auto& key = entry.first;
    const auto* node = entry.second;
    const std::string source = At(path, node->source());
    const auto spec = std::find_if(
        program.options.begin(), program.options.end(), [&](const auto& one) {
          return one.in_file && (key == one.name || key == FileKey(one.name));
        });
    if (spec == program.options.end()) return UnknownKey(program, key, source);
    const auto value = TextOf(*spec, *node);
    if (!value) {
      return Status::Invalid(fmt::format("{}: bad value for \"{}\": expected {}", source,
                                         key, ExpectedTomlType(*spec)));
    }
    const auto [first, fresh] =
        values.try_emplace(spec->name, SourceValue{*value, source, key});
    if (!fresh) {
      return Status::Invalid(fmt::format("{}: \"{}\" is already given at {}", source, key,
                                         first->second.source));
    }
  }
  return values;
}

}  // namespace

arrow::Result<SourceValues> ReadFile(const ProgramSpec& program,
                                     const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto text, ReadAll(path));
  ARROW_ASSIGN_OR_RAISE(const auto table, ParseToml(text, path));
  return ReadTable(program, path, table);
}

arrow::Result<std::optional<SourceValues>> ReadFileSection(
    const ProgramSpec& program, const std::string& path, const std::string& section,
    std::vector<std::string>* known) {
  ARROW_ASSIGN_OR_RAISE(const auto text, ReadAll(path));
  ARROW_ASSIGN_OR_RAISE(const auto file, ParseToml(text, path));
  const toml::table* found = nullptr;
  for (const auto& [name, node] : ByLine(file)) {
    const auto* table = node->as_table();
    if (table == nullptr) {
      return Status::Invalid(fmt::format(
          "{}: \"{}\" stands in no section; put it below a line such as [default]",
          At(path, node->source()), name));
    }
    known->push_back(name);
    if (name == section) found = table;
  }
  if (found == nullptr) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(auto values, ReadTable(program, path, *found));
  return std::optional<SourceValues>(std::move(values));
}

}  // namespace ballista::config
