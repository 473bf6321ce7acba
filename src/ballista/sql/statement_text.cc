#include "ballista/sql/statement_text.h"

#include <set>

namespace ballista::sql {
namespace {

using duckdb::CatalogType;

std::string Quoted(const std::string& name) {
  return duckdb::KeywordHelper::WriteQuoted(name, '"');
}

class Collector {
 public:
  explicit Collector(duckdb::ClientContext& context) : context_(context) {}

  void Collect(duckdb::QueryNode& node) {
    ParsedVisitor visitor;
    visitor.on_table = [this](duckdb::BaseTableRef& ref) { OnTable(ref); };
    visitor.on_function = [this](duckdb::FunctionExpression& function) {
      OnFunction(function);
    };
    visitor.Visit(node);
  }

  StatementText Finish() {
    AddTypes();
    AddVariables();
    auto& prelude = text_.prelude;
    prelude = std::move(types_);
    prelude.insert(prelude.end(), macros_.begin(), macros_.end());
    prelude.insert(prelude.end(), views_.begin(), views_.end());
    return std::move(text_);
  }

 private:
  // The name without its schema, unless another object of that name is there already.
  std::string FlatName(duckdb::CatalogEntry& entry) {
    const auto full = entry.ParentCatalog().GetName() + "." + entry.ParentSchema().name +
                      "." + entry.name;
    const auto known = flat_names_.find(full);
    if (known != flat_names_.end()) return known->second;
    std::string flat = entry.name;
    while (!used_names_.insert(duckdb::StringUtil::Lower(flat)).second) flat += "_";
    flat_names_[full] = flat;
    return flat;
  }

  void OnTable(duckdb::BaseTableRef& ref) {
    auto entry = duckdb::Catalog::GetEntry(
        context_, ref.catalog_name, ref.schema_name,
        duckdb::EntryLookupInfo(CatalogType::TABLE_ENTRY, ref.table_name),
        duckdb::OnEntryNotFound::RETURN_NULL);
    if (!entry || entry->internal) return;
    const auto name = FlatName(*entry);
    const bool first = done_.insert(entry.get()).second;
    if (entry->type == CatalogType::VIEW_ENTRY) {
      if (first) AddView(entry->Cast<duckdb::ViewCatalogEntry>(), name);
    } else {
      text_.tables[name] = "SELECT * FROM " + Quoted(entry->ParentCatalog().GetName()) +
                           "." + Quoted(entry->ParentSchema().name) + "." +
                           Quoted(entry->name);
    }
    if (ref.catalog_name.empty() && ref.schema_name.empty() && name == ref.table_name) {
      return;
    }
    if (ref.alias.empty()) ref.alias = ref.table_name;
    ref.catalog_name.clear();
    ref.schema_name.clear();
    ref.table_name = name;
  }

  void AddView(duckdb::ViewCatalogEntry& view, const std::string& name) {
    auto info = duckdb::unique_ptr_cast<duckdb::CreateInfo, duckdb::CreateViewInfo>(
        view.GetInfo());
    Collect(*info->query->node);
    MakeTemporary(*info);
    info->view_name = name;
    views_.push_back(info->ToString());
  }

  void OnFunction(duckdb::FunctionExpression& function) {
    for (const auto type : {CatalogType::MACRO_ENTRY, CatalogType::TABLE_MACRO_ENTRY}) {
      auto entry =
          duckdb::Catalog::GetEntry(context_, function.catalog, function.schema,
                                    duckdb::EntryLookupInfo(type, function.function_name),
                                    duckdb::OnEntryNotFound::RETURN_NULL);
      if (!entry || entry->internal || entry->type != type) continue;
      if (done_.insert(entry.get()).second) {
        AddMacro(entry->Cast<duckdb::MacroCatalogEntry>());
      }
      function.catalog.clear();
      function.schema.clear();
      return;
    }
  }

  void AddMacro(duckdb::MacroCatalogEntry& macro) {
    auto info = duckdb::unique_ptr_cast<duckdb::CreateInfo, duckdb::CreateMacroInfo>(
        macro.GetInfo());
    for (auto& overload : info->macros) {
      if (overload->type == duckdb::MacroType::TABLE_MACRO) {
        Collect(*overload->Cast<duckdb::TableMacroFunction>().query_node);
      } else {
        ParsedVisitor visitor;
        visitor.on_table = [this](duckdb::BaseTableRef& ref) { OnTable(ref); };
        visitor.on_function = [this](duckdb::FunctionExpression& function) {
          OnFunction(function);
        };
        visitor.Visit(overload->Cast<duckdb::ScalarMacroFunction>().expression);
      }
    }
    MakeTemporary(*info);
    macros_.push_back(info->ToString());
  }

  static void MakeTemporary(duckdb::CreateInfo& info) {
    info.catalog.clear();
    info.schema.clear();
    info.temporary = true;
    info.on_conflict = duckdb::OnCreateConflict::REPLACE_ON_CONFLICT;
    info.sql.clear();
    info.dependencies = {};
    info.tags = {};
    info.comment = duckdb::Value();
  }

  // All of them: a type's name may stand in a cast, a column list or a macro, and making
  // one reads nothing.
  void AddTypes() {
    for (auto& schema : duckdb::Catalog::GetAllSchemas(context_)) {
      schema.get().Scan(context_, CatalogType::TYPE_ENTRY,
                        [&](duckdb::CatalogEntry& entry) {
                          if (entry.internal) return;
                          auto info = entry.GetInfo();
                          MakeTemporary(*info);
                          info->on_conflict = duckdb::OnCreateConflict::ERROR_ON_CONFLICT;
                          types_.push_back(info->ToString());
                        });
    }
  }

  void AddVariables() {
    const auto& variables = duckdb::ClientConfig::GetConfig(context_).user_variables;
    for (const auto& [name, value] : variables) {
      types_.push_back("SET VARIABLE " + Quoted(name) + " = " + value.ToSQLString());
    }
  }

  duckdb::ClientContext& context_;
  StatementText text_;
  std::vector<std::string> types_, macros_, views_;
  std::map<std::string, std::string> flat_names_;
  std::set<std::string> used_names_;
  std::set<const duckdb::CatalogEntry*> done_;
};

}  // namespace

void ParsedVisitor::Visit(
    duckdb::unique_ptr<duckdb::ParsedExpression>& expression) const {
  if (!expression) return;
  if (on_expression) on_expression(expression);
  if (on_function &&
      expression->GetExpressionClass() == duckdb::ExpressionClass::FUNCTION) {
    on_function(expression->Cast<duckdb::FunctionExpression>());
  }
  if (expression->GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
    Visit(*expression->Cast<duckdb::SubqueryExpression>().subquery->node);
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      *expression,
      [this](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { Visit(child); });
}

void ParsedVisitor::VisitTable(duckdb::TableRef& ref) const {
  if (on_table && ref.type == duckdb::TableReferenceType::BASE_TABLE) {
    on_table(ref.Cast<duckdb::BaseTableRef>());
  }
}

void ParsedVisitor::Visit(duckdb::QueryNode& node) const {
  duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
      node, [this](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { Visit(child); },
      [this](duckdb::TableRef& ref) { VisitTable(ref); });
}

StatementText MakeStatementText(duckdb::ClientContext& context,
                                const duckdb::SelectStatement& statement,
                                const ParameterValues& parameters) {
  auto copy = statement.Copy();
  auto& node = *copy->Cast<duckdb::SelectStatement>().node;
  ParsedVisitor constants;
  constants.on_expression =
      [&](duckdb::unique_ptr<duckdb::ParsedExpression>& expression) {
        if (expression->GetExpressionClass() != duckdb::ExpressionClass::PARAMETER) {
          return;
        }
        const auto& name = expression->Cast<duckdb::ParameterExpression>().identifier;
        const auto found = parameters.find(name);
        if (found == parameters.end()) return;
        auto constant =
            duckdb::make_uniq<duckdb::ConstantExpression>(found->second.GetValue());
        constant->SetAlias(expression->GetAlias());
        expression = std::move(constant);
      };
  constants.Visit(node);
  Collector collector(context);
  collector.Collect(node);
  auto text = collector.Finish();
  text.sql = copy->ToString();
  return text;
}

}  // namespace ballista::sql
