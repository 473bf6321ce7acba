#include "ballista/sql/catalog_objects.h"

#include <array>
#include <duckdb/main/database_manager.hpp>
#include <duckdb/parser/parsed_data/create_schema_info.hpp>
#include <duckdb/transaction/meta_transaction.hpp>

#include "ballista/base/status.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/upload_writer.h"

namespace ballista::sql {
namespace {

using duckdb::CatalogType;

struct ObjectKind {
  const char* name;
  CatalogType type;
};

// In the order in which they are made.
constexpr std::array<ObjectKind, 5> kKinds = {{
    {"schema", CatalogType::SCHEMA_ENTRY},
    {"type", CatalogType::TYPE_ENTRY},
    {"macro", CatalogType::MACRO_ENTRY},
    {"table-macro", CatalogType::TABLE_MACRO_ENTRY},
    {"view", CatalogType::VIEW_ENTRY},
}};

// Names may hold anything; a key is of printable bytes, with slashes between its parts.
std::string Escape(const std::string& name) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string escaped;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7f && c != '/' && c != '%') {
      escaped += c;
    } else {
      escaped += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return escaped;
}

std::string Unescape(const std::string& escaped) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string name;
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '%' && i + 2 < escaped.size()) {
      name += static_cast<char>(digit(escaped[i + 1]) << 4 | digit(escaped[i + 2]));
      i += 2;
    } else {
      name += escaped[i];
    }
  }
  return name;
}

struct ObjectName {
  size_t kind = kKinds.size();
  std::string schema;
  std::string name;
};

std::string KeyOf(size_t kind, const std::string& schema, const std::string& name) {
  return std::string(kKinds[kind].name) + "/" + Escape(schema) + "/" + Escape(name);
}

arrow::Result<ObjectName> ParseKey(const std::string& key) {
  const size_t first = key.find('/');
  const size_t second = first == std::string::npos ? first : key.find('/', first + 1);
  if (second != std::string::npos) {
    for (size_t kind = 0; kind < kKinds.size(); ++kind) {
      if (key.substr(0, first) != kKinds[kind].name) continue;
      return ObjectName{kind, Unescape(key.substr(first + 1, second - first - 1)),
                        Unescape(key.substr(second + 1))};
    }
  }
  return arrow::Status::Invalid("'", key, "' names no object of a catalog");
}

std::string ToBytes(const duckdb::CreateInfo& info) {
  duckdb::MemoryStream stream;
  duckdb::BinarySerializer serializer(stream);
  serializer.Begin();
  info.Serialize(serializer);
  serializer.End();
  return {reinterpret_cast<const char*>(stream.GetData()), stream.GetPosition()};
}

duckdb::unique_ptr<duckdb::CreateInfo> FromBytes(std::string bytes) {
  duckdb::MemoryStream stream(reinterpret_cast<duckdb::data_ptr_t>(bytes.data()),
                              bytes.size());
  duckdb::BinaryDeserializer deserializer(stream);
  deserializer.Begin();
  auto info = duckdb::CreateInfo::Deserialize(deserializer);
  deserializer.End();
  return info;
}

duckdb::Catalog& DefaultCatalog(duckdb::ClientContext& context) {
  return duckdb::Catalog::GetCatalog(
      context, duckdb::DatabaseManager::GetDefaultDatabase(context));
}

void ExportSchema(duckdb::ClientContext& context, duckdb::SchemaCatalogEntry& schema,
                  CatalogObjects* objects) {
  if (schema.temporary) return;
  if (!schema.internal) {
    (*objects)[KeyOf(0, schema.name, schema.name)] = ToBytes(*schema.GetInfo());
  }
  for (size_t kind = 1; kind < kKinds.size(); ++kind) {
    schema.Scan(context, kKinds[kind].type, [&](duckdb::CatalogEntry& entry) {
      // Tables come with views, functions with macros.
      if (entry.internal || entry.temporary || entry.type != kKinds[kind].type) return;
      if (IsUploadedTable(entry)) return;  // its rows are this process's, as a table's
      (*objects)[KeyOf(kind, schema.name, entry.name)] = ToBytes(*entry.GetInfo());
    });
  }
}

// As a statement's binder does it for a statement.
duckdb::Catalog& CatalogToChange(duckdb::ClientContext& context,
                                 duckdb::DatabaseModificationType how) {
  auto& catalog = DefaultCatalog(context);
  duckdb::MetaTransaction::Get(context).ModifyDatabase(catalog.GetAttached(), how);
  return catalog;
}

void Create(duckdb::ClientContext& context, size_t kind, duckdb::CreateInfo& info) {
  auto& catalog =
      CatalogToChange(context, duckdb::DatabaseModificationType::CREATE_CATALOG_ENTRY);
  info.catalog = catalog.GetName();
  info.dependencies = duckdb::LogicalDependencyList();
  info.on_conflict = duckdb::OnCreateConflict::REPLACE_ON_CONFLICT;
  switch (kKinds[kind].type) {
    case CatalogType::SCHEMA_ENTRY:
      info.on_conflict = duckdb::OnCreateConflict::IGNORE_ON_CONFLICT;
      catalog.CreateSchema(context, info.Cast<duckdb::CreateSchemaInfo>());
      return;
    case CatalogType::TYPE_ENTRY:
      catalog.CreateType(context, info.Cast<duckdb::CreateTypeInfo>());
      return;
    case CatalogType::VIEW_ENTRY:
      catalog.CreateView(context, info.Cast<duckdb::CreateViewInfo>());
      return;
    default:
      catalog.CreateFunction(context, info.Cast<duckdb::CreateMacroInfo>());
  }
}

}  // namespace

arrow::Result<CatalogObjects> ExportObjects(duckdb::Connection& connection) {
  return Guarded([&]() -> arrow::Result<CatalogObjects> {
    CatalogObjects objects;
    auto& context = *connection.context;
    context.RunFunctionInTransaction([&] {
      DefaultCatalog(context).ScanSchemas(context, [&](duckdb::SchemaCatalogEntry& one) {
        ExportSchema(context, one, &objects);
      });
    });
    return objects;
  });
}

arrow::Status PutObject(duckdb::Connection& connection, const std::string& key,
                        const std::string& bytes) {
  ARROW_ASSIGN_OR_RAISE(const ObjectName object, ParseKey(key));
  return Guarded([&]() -> arrow::Status {
    auto info = FromBytes(bytes);
    if (info->type != kKinds[object.kind].type) {
      return arrow::Status::Invalid("the bytes of '", key, "' are of something else");
    }
    connection.context->RunFunctionInTransaction(
        [&] { Create(*connection.context, object.kind, *info); });
    return arrow::Status::OK();
  });
}

arrow::Status DropObject(duckdb::Connection& connection, const std::string& key) {
  ARROW_ASSIGN_OR_RAISE(const ObjectName object, ParseKey(key));
  return Guarded([&]() -> arrow::Status {
    connection.context->RunFunctionInTransaction([&] {
      auto& catalog = CatalogToChange(
          *connection.context, duckdb::DatabaseModificationType::DROP_CATALOG_ENTRY);
      duckdb::DropInfo info;
      info.type = kKinds[object.kind].type;
      info.catalog = catalog.GetName();
      info.schema = object.schema;
      info.name = object.name;
      info.if_not_found = duckdb::OnEntryNotFound::RETURN_NULL;
      catalog.DropEntry(*connection.context, info);
    });
    return arrow::Status::OK();
  });
}

bool ComesBefore(const std::string& a, const std::string& b) {
  const auto kind = [](const std::string& key) {
    const auto parsed = ParseKey(key);
    return parsed.ok() ? parsed->kind : kKinds.size();
  };
  return std::make_pair(kind(a), a) < std::make_pair(kind(b), b);
}

}  // namespace ballista::sql
