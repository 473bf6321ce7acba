#include "ballista/engine/duckdb/staged_column.h"

#include <cstring>
#include <vector>

#include "ballista/engine/duckdb/arrow_encode.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine {
namespace {

using ArrayDataPtr = std::shared_ptr<arrow::ArrayData>;
using duckdb::UnifiedVectorFormat;
using duckdb::Vector;

// Memory that grows by doubling and is never filled with zeros.
class RawBuffer {
 public:
  uint8_t* data() { return data_.get(); }

  void Reserve(size_t bytes, size_t used) {
    if (bytes <= capacity_) return;
    size_t capacity = std::max<size_t>(capacity_ * 2, bytes);
    std::unique_ptr<uint8_t[]> grown(new uint8_t[capacity]);
    if (used > 0) std::memcpy(grown.get(), data_.get(), used);
    data_ = std::move(grown);
    capacity_ = capacity;
  }

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t capacity_ = 0;
};

// A byte for each staged row, kept only once a NULL was seen.
class StagedValidity {
 public:
  void Append(const UnifiedVectorFormat& format, uint64_t staged, uint64_t count) {
    const bool all_valid = format.validity.AllValid();
    if (all_valid && !any_null_) return;
    if (!any_null_) {
      bytes_.assign(staged, 1);
      any_null_ = true;
    }
    bytes_.resize(staged + count, 1);
    if (all_valid) return;
    for (uint64_t i = 0; i < count; ++i) {
      bytes_[staged + i] = format.validity.RowIsValid(format.sel->get_index(i));
    }
  }

  const uint8_t* data() const { return any_null_ ? bytes_.data() : nullptr; }

  void Clear() {
    any_null_ = false;
    bytes_.clear();
  }

 private:
  bool any_null_ = false;
  std::vector<uint8_t> bytes_;
};

// T stands for any type of its width.
template <typename T>
void CopySelected(const UnifiedVectorFormat& format, uint64_t count, uint8_t* out) {
  const auto* from = reinterpret_cast<const T*>(format.data);
  auto* to = reinterpret_cast<T*>(out);
  for (uint64_t i = 0; i < count; ++i) to[i] = from[format.sel->get_index(i)];
}

void CopyFixed(const UnifiedVectorFormat& format, uint64_t count, int width,
               uint8_t* out) {
  if (!format.sel->IsSet()) {
    std::memcpy(out, format.data, count * static_cast<size_t>(width));
    return;
  }
  switch (width) {
    case 1:
      return CopySelected<uint8_t>(format, count, out);
    case 2:
      return CopySelected<uint16_t>(format, count, out);
    case 4:
      return CopySelected<uint32_t>(format, count, out);
    case 8:
      return CopySelected<uint64_t>(format, count, out);
    default:
      return CopySelected<duckdb::hugeint_t>(format, count, out);
  }
}

int Width(const duckdb::LogicalType& type) {
  return static_cast<int>(duckdb::GetTypeIdSize(type.InternalType()));
}

class FixedColumn : public StagedColumn {
 public:
  explicit FixedColumn(const duckdb::LogicalType& type)
      : type_(type), arrow_type_(ExchangeType(type)), width_(Width(type)) {}

  arrow::Status Append(Vector& vector, uint64_t count, bool) override {
    UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    const size_t used = rows_ * static_cast<size_t>(width_);
    values_.Reserve(used + count * static_cast<size_t>(width_), used);
    CopyFixed(format, count, width_, values_.data() + used);
    validity_.Append(format, rows_, count);
    rows_ += count;
    return arrow::Status::OK();
  }

  arrow::Result<ArrayDataPtr> Take(const uint32_t* rows, int64_t count) override {
    auto result =
        EncodeFixed(type_, arrow_type_, values_.data(), validity_.data(), rows, count);
    validity_.Clear();
    rows_ = 0;
    return result;
  }

 private:
  const duckdb::LogicalType type_;
  const std::shared_ptr<arrow::DataType> arrow_type_;
  const int width_;
  RawBuffer values_;
  StagedValidity validity_;
  uint64_t rows_ = 0;
};

// Rows that keep their order and their bytes: staged in the Arrow buffer itself.
class DirectFixedColumn : public StagedColumn {
 public:
  explicit DirectFixedColumn(const duckdb::LogicalType& type)
      : arrow_type_(ExchangeType(type)), width_(Width(type)) {}

  arrow::Status Append(Vector& vector, uint64_t count, bool) override {
    UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    const auto used = static_cast<int64_t>(rows_) * width_;
    const int64_t needed = used + static_cast<int64_t>(count) * width_;
    if (!values_) {
      ARROW_ASSIGN_OR_RAISE(values_, arrow::AllocateResizableBuffer(needed));
    } else if (needed > values_->capacity()) {
      ARROW_RETURN_NOT_OK(values_->Reserve(std::max(needed, 4 * used)));
    }
    ARROW_RETURN_NOT_OK(values_->Resize(needed, false));
    CopyFixed(format, count, width_, values_->mutable_data() + used);
    validity_.Append(format, rows_, count);
    rows_ += count;
    return arrow::Status::OK();
  }

  arrow::Result<ArrayDataPtr> Take(const uint32_t*, int64_t count) override {
    int64_t nulls = 0;
    ARROW_ASSIGN_OR_RAISE(auto validity,
                          EncodeValidity(validity_.data(), nullptr, count, &nulls));
    if (!values_) {
      ARROW_ASSIGN_OR_RAISE(values_, arrow::AllocateResizableBuffer(0));
    }
    std::shared_ptr<arrow::Buffer> values = std::move(values_);
    validity_.Clear();
    rows_ = 0;
    return arrow::ArrayData::Make(arrow_type_, count, {validity, values}, nulls);
  }

 private:
  const std::shared_ptr<arrow::DataType> arrow_type_;
  const int width_;
  std::unique_ptr<arrow::ResizableBuffer> values_;
  StagedValidity validity_;
  uint64_t rows_ = 0;
};

// Bytes of strings, in blocks that are used again.
class StringArena {
 public:
  const char* Copy(const char* data, size_t size) {
    if (size > kBlock / 4) {
      large_.emplace_back(new char[size]);
      std::memcpy(large_.back().get(), data, size);
      return large_.back().get();
    }
    if (blocks_.empty() || used_ + size > kBlock) {
      if (!blocks_.empty()) ++current_;
      if (current_ >= blocks_.size()) blocks_.emplace_back(new char[kBlock]);
      used_ = 0;
    }
    char* copy = blocks_[current_].get() + used_;
    std::memcpy(copy, data, size);
    used_ += size;
    return copy;
  }

  void Clear() {
    large_.clear();
    current_ = 0;
    used_ = 0;
  }

 private:
  static constexpr size_t kBlock = 1 << 18;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<std::unique_ptr<char[]>> large_;
  size_t current_ = 0;
  size_t used_ = 0;
};

class StringColumn : public StagedColumn {
 public:
  explicit StringColumn(const duckdb::LogicalType& type)
      : arrow_type_(ExchangeType(type)) {}

  arrow::Status Append(Vector& vector, uint64_t count, bool borrow) override {
    UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    const size_t used = rows_ * sizeof(duckdb::string_t);
    values_.Reserve(used + count * sizeof(duckdb::string_t), used);
    auto* out = reinterpret_cast<duckdb::string_t*>(values_.data()) + rows_;
    CopyFixed(format, count, sizeof(duckdb::string_t), values_.data() + used);
    validity_.Append(format, rows_, count);
    if (!format.validity.AllValid()) {
      for (uint64_t i = 0; i < count; ++i) {
        if (!format.validity.RowIsValid(format.sel->get_index(i))) {
          out[i] = duckdb::string_t("", 0);
        }
      }
    }
    if (!borrow) {
      for (uint64_t i = 0; i < count; ++i) {
        if (out[i].IsInlined()) continue;
        out[i].SetPointer(
            const_cast<char*>(arena_.Copy(out[i].GetPointer(), out[i].GetSize())));
      }
    }
    rows_ += count;
    return arrow::Status::OK();
  }

  arrow::Result<ArrayDataPtr> Take(const uint32_t* rows, int64_t count) override {
    auto result =
        EncodeStrings(arrow_type_, reinterpret_cast<duckdb::string_t*>(values_.data()),
                      validity_.data(), rows, count);
    validity_.Clear();
    arena_.Clear();
    rows_ = 0;
    return result;
  }

 private:
  const std::shared_ptr<arrow::DataType> arrow_type_;
  RawBuffer values_;
  StringArena arena_;
  StagedValidity validity_;
  uint64_t rows_ = 0;
};

// Strings that keep their order: appended to their Arrow heap at once.
class DirectStringColumn : public StagedColumn {
 public:
  explicit DirectStringColumn(const duckdb::LogicalType& type)
      : arrow_type_(ExchangeType(type)) {}

  arrow::Status Append(Vector& vector, uint64_t count, bool) override {
    UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    const auto* strings = UnifiedVectorFormat::GetData<duckdb::string_t>(format);
    const bool all_valid = format.validity.AllValid();
    for (uint64_t i = 0; i < count; ++i) {
      const auto row = format.sel->get_index(i);
      if (all_valid || format.validity.RowIsValid(row)) {
        const auto& value = strings[row];
        ARROW_RETURN_NOT_OK(heap_.Append(value.GetData(), value.GetSize()));
      }
      ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(heap_.length())));
    }
    validity_.Append(format, rows_, count);
    rows_ += count;
    return arrow::Status::OK();
  }

  arrow::Result<ArrayDataPtr> Take(const uint32_t*, int64_t count) override {
    int64_t nulls = 0;
    ARROW_ASSIGN_OR_RAISE(auto validity,
                          EncodeValidity(validity_.data(), nullptr, count, &nulls));
    ARROW_ASSIGN_OR_RAISE(auto ends, offsets_.Finish(false));
    ARROW_ASSIGN_OR_RAISE(auto heap, heap_.Finish(false));
    ARROW_ASSIGN_OR_RAISE(auto offsets, arrow::AllocateBuffer((count + 1) * 4));
    auto* out = reinterpret_cast<int32_t*>(offsets->mutable_data());
    out[0] = 0;
    if (count > 0) std::memcpy(out + 1, ends->data(), static_cast<size_t>(count) * 4);
    validity_.Clear();
    rows_ = 0;
    return arrow::ArrayData::Make(
        arrow_type_, count,
        {validity, std::shared_ptr<arrow::Buffer>(std::move(offsets)), heap}, nulls);
  }

 private:
  const std::shared_ptr<arrow::DataType> arrow_type_;
  arrow::BufferBuilder heap_;
  arrow::TypedBufferBuilder<int32_t> offsets_;  // ends of the strings
  StagedValidity validity_;
  uint64_t rows_ = 0;
};

// An untyped NULL, whatever type DuckDB gave it.
class NullColumn : public StagedColumn {
 public:
  arrow::Status Append(Vector&, uint64_t, bool) override { return arrow::Status::OK(); }
  arrow::Result<ArrayDataPtr> Take(const uint32_t*, int64_t count) override {
    return arrow::ArrayData::Make(arrow::null(), count, {nullptr}, count);
  }
};

// Nested types, staged as DuckDB's own vectors.
class VectorColumn : public StagedColumn {
 public:
  explicit VectorColumn(const duckdb::LogicalType& type)
      : type_(type), arrow_type_(ExchangeType(type)) {
    Clear();
  }

  arrow::Status Append(Vector& vector, uint64_t count, bool) override {
    duckdb::DataChunk rows;
    rows.InitializeEmpty({type_});
    rows.data[0].Reinterpret(vector);
    rows.SetCardinality(count);
    staged_->Append(rows, true);
    return arrow::Status::OK();
  }

  arrow::Result<ArrayDataPtr> Take(const uint32_t* rows, int64_t count) override {
    auto result =
        EncodeVector(arrow_type_, staged_->data[0], staged_->size(), rows, count);
    Clear();
    return result;
  }

 private:
  void Clear() {
    staged_ = std::make_unique<duckdb::DataChunk>();
    staged_->Initialize(duckdb::Allocator::DefaultAllocator(), {type_});
  }

  const duckdb::LogicalType type_;
  const std::shared_ptr<arrow::DataType> arrow_type_;
  std::unique_ptr<duckdb::DataChunk> staged_;
};

}  // namespace

std::unique_ptr<StagedColumn> StagedColumn::Make(const duckdb::LogicalType& type,
                                                 bool in_order) {
  if (IsString(type)) {
    if (in_order) return std::make_unique<DirectStringColumn>(type);
    return std::make_unique<StringColumn>(type);
  }
  if (IsFixedWidth(type)) {
    if (in_order && SameBytesInArrow(type)) {
      return std::make_unique<DirectFixedColumn>(type);
    }
    return std::make_unique<FixedColumn>(type);
  }
  if (type.id() == duckdb::LogicalTypeId::SQLNULL) return std::make_unique<NullColumn>();
  return std::make_unique<VectorColumn>(type);
}

}  // namespace ballista::engine
