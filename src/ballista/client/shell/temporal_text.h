// Dates and times as text, from the integers that Arrow keeps them in. Years are
// proleptic Gregorian and unbounded; before year 1 they are written as "0044-03-15 (BC)".
// A fraction of a second is written without its trailing zeros.
#pragma once

#include <arrow/type.h>

#include <cstdint>
#include <string>

namespace ballista::shell {

enum class TemporalStyle {
  kSql,  // 2024-01-31 12:00:00.5+00
  kIso,  // 2024-01-31T12:00:00.5Z
};

// Days since 1970-01-01.
void AppendDate(int64_t days, std::string* out);

// Time since midnight.
void AppendTimeOfDay(int64_t value, arrow::TimeUnit::type unit, std::string* out);

// "+02" or "+05:30", and with seconds where there are any.
void AppendUtcOffset(int64_t seconds, std::string* out);

// Time since 1970-01-01 00:00 UTC, shown in `zone` (as "Europe/Zurich" or "+05:30", UTC
// where the system does not know it); of no zone where `zone` is empty.
void AppendTimestamp(int64_t value, arrow::TimeUnit::type unit, const std::string& zone,
                     TemporalStyle style, std::string* out);

// "1 year 2 months 3 days 04:05:06.5", "00:00:00" for none at all.
void AppendInterval(int64_t months, int64_t days, int64_t nanoseconds, std::string* out);

}  // namespace ballista::shell
