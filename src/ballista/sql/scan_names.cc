#include "ballista/sql/scan_names.h"

#include <set>

#include "ballista/sql/statement_text.h"

namespace ballista::sql {
namespace {

class Finder {
 public:
  explicit Finder(duckdb::ClientContext& context) : context_(context) {}

  void Visit(duckdb::QueryNode& node) {
    ParsedVisitor visitor;
    visitor.on_table = [this](duckdb::BaseTableRef& ref) { OnTable(ref); };
    visitor.Visit(node);
  }

  ScanNames names;

 private:
  void OnTable(const duckdb::BaseTableRef& ref) {
    auto entry = duckdb::Catalog::GetEntry(
        context_, ref.catalog_name, ref.schema_name,
        duckdb::EntryLookupInfo(duckdb::CatalogType::TABLE_ENTRY, ref.table_name),
        duckdb::OnEntryNotFound::RETURN_NULL);
    if (!entry || entry->type != duckdb::CatalogType::VIEW_ENTRY || entry->internal ||
        !seen_.insert(entry.get()).second) {
      return;
    }
    auto query = entry->Cast<duckdb::ViewCatalogEntry>().GetQuery().Copy();
    auto& node = *query->Cast<duckdb::SelectStatement>().node;
    if (node.type == duckdb::QueryNodeType::SELECT_NODE) {
      Name(node.Cast<duckdb::SelectNode>().from_table.get(), entry->name);
    }
    Visit(node);
  }

  void Name(const duckdb::TableRef* from, const std::string& view) {
    if (from == nullptr) return;
    if (from->type == duckdb::TableReferenceType::BASE_TABLE) {
      names[from->Cast<duckdb::BaseTableRef>().table_name + "\n"] = view;
    } else if (from->type == duckdb::TableReferenceType::TABLE_FUNCTION) {
      const auto& call = *from->Cast<duckdb::TableFunctionRef>().function;
      if (call.GetExpressionClass() != duckdb::ExpressionClass::FUNCTION) return;
      const auto& arguments = call.Cast<duckdb::FunctionExpression>().children;
      if (!arguments.empty()) names[Constants(*arguments[0])] = view;
    }
  }

  // The constants of an expression, list constructors unfolded.
  static std::string Constants(const duckdb::ParsedExpression& expression) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::CONSTANT) {
      return ScanKey(expression.Cast<duckdb::ConstantExpression>().value);
    }
    std::string key;
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression,
        [&](const duckdb::ParsedExpression& child) { key += Constants(child); });
    return key;
  }

  duckdb::ClientContext& context_;
  std::set<const duckdb::CatalogEntry*> seen_;
};

}  // namespace

ScanNames FindScanNames(duckdb::ClientContext& context,
                        const duckdb::SQLStatement& statement) {
  Finder finder(context);
  try {
    auto copy = statement.Copy();
    if (copy->type == duckdb::StatementType::SELECT_STATEMENT) {
      finder.Visit(*copy->Cast<duckdb::SelectStatement>().node);
    } else if (copy->type == duckdb::StatementType::COPY_STATEMENT) {
      auto& info = *copy->Cast<duckdb::CopyStatement>().info;
      if (info.select_statement) finder.Visit(*info.select_statement);
    }
  } catch (const std::exception&) {
    // The binder will say what is wrong; names are for people only.
  }
  return std::move(finder.names);
}

std::string ScanKey(const duckdb::Value& files) {
  if (files.IsNull()) return "";
  if (files.type().id() != duckdb::LogicalTypeId::LIST) return files.ToString() + "\n";
  std::string key;
  for (const auto& file : duckdb::ListValue::GetChildren(files)) key += ScanKey(file);
  return key;
}

std::string ScanName(const ScanNames& names, const std::string& key,
                     const std::string& first_path, size_t files) {
  const auto named = names.find(key);
  const std::string name = named == names.end() ? first_path : named->second;
  return files == 1 ? name : name + " (" + std::to_string(files) + " files)";
}

}  // namespace ballista::sql
