#include "ballista/client/shell/temporal_text.h"

#include <arrow/vendored/datetime.h>
#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <iterator>
#include <limits>
#include <string_view>

namespace ballista::shell {
namespace {

constexpr int64_t kSecondsADay = 86400;

int64_t FloorDivide(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

int64_t UnitsASecond(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1000;
    case arrow::TimeUnit::MICRO:
      return 1000000;
    case arrow::TimeUnit::NANO:
      return 1000000000;
  }
  return 1;
}

struct Date {
  int64_t year;
  int month;
  int day;
};

// Counts from 0000-03-01, so that a leap day ends its year and a 400-year era its cycle.
Date DateOf(int64_t days_since_1970) {
  constexpr int64_t kDaysToEpoch = 719468;
  constexpr int64_t kDaysAnEra = 146097;
  const int64_t days = days_since_1970 + kDaysToEpoch;
  const int64_t era = FloorDivide(days, kDaysAnEra);
  const int64_t day_of_era = days - era * kDaysAnEra;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const auto day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  const auto month =
      static_cast<int>(month_from_march + (month_from_march < 10 ? 3 : -9));
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

void AppendCivilDate(const Date& date, std::string* out) {
  // Year 0 is 1 BC.
  const int64_t year = date.year > 0 ? date.year : 1 - date.year;
  fmt::format_to(std::back_inserter(*out), "{:04}-{:02}-{:02}", year, date.month,
                 date.day);
  if (date.year <= 0) *out += " (BC)";
}

void AppendFraction(int64_t fraction, int64_t units_a_second, std::string* out) {
  if (fraction == 0) return;
  *out += '.';
  for (int64_t digit = units_a_second / 10; fraction != 0; digit /= 10) {
    *out += static_cast<char>('0' + fraction / digit);
    fraction %= digit;
  }
}

void AppendClock(int64_t seconds, int64_t fraction, int64_t units_a_second,
                 std::string* out) {
  fmt::format_to(std::back_inserter(*out), "{:02}:{:02}:{:02}", seconds / 3600,
                 seconds / 60 % 60, seconds % 60);
  AppendFraction(fraction, units_a_second, out);
}

// Of the two forms of Arrow's zones, the one without a name: "+05:30", "-08".
bool ParseFixedOffset(const std::string& zone, int64_t* seconds) {
  if (zone.size() < 3 || (zone[0] != '+' && zone[0] != '-')) return false;
  const int64_t hours = std::strtol(zone.substr(1, 2).c_str(), nullptr, 10);
  const size_t colon = zone.find(':');
  const int64_t minutes =
      zone.size() < 5 ? 0 : std::strtol(zone.c_str() + (colon == 3 ? 4 : 3), nullptr, 10);
  *seconds = (zone[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  return true;
}

int64_t OffsetOf(const std::string& zone, int64_t utc_seconds) {
  int64_t offset = 0;
  if (zone == "UTC" || zone == "Etc/UTC" || ParseFixedOffset(zone, &offset))
    return offset;
  namespace date = arrow_vendored::date;
  // Years that a 16-bit calendar holds; the zone's rules say nothing about others.
  constexpr int64_t kLimit = int64_t{32000 - 1970} * 366 * kSecondsADay;
  if (std::llabs(utc_seconds) > kLimit) return 0;
  try {
    // One zone fills a result: looking it up for each value would cost more than the
    // text.
    thread_local std::string cached_name;
    thread_local const date::time_zone* cached = nullptr;
    if (cached == nullptr || cached_name != zone) {
      cached = date::locate_zone(zone);
      cached_name = zone;
    }
    return cached->get_info(date::sys_seconds(std::chrono::seconds(utc_seconds)))
        .offset.count();
  } catch (const std::exception&) {
    return 0;
  }
}

void AppendCount(int64_t count, std::string_view unit, std::string* out) {
  if (count == 0) return;
  if (!out->empty() && out->back() != ' ') *out += ' ';
  fmt::format_to(std::back_inserter(*out), "{} {}{}", count, unit,
                 std::llabs(count) == 1 ? "" : "s");
}

}  // namespace

void AppendDate(int64_t days, std::string* out) {
  // DuckDB's infinite dates are the ends of a 32-bit range.
  if (days >= std::numeric_limits<int32_t>::max()) {
    *out += "infinity";
    return;
  }
  if (days <= -std::numeric_limits<int32_t>::max()) {
    *out += "-infinity";
    return;
  }
  AppendCivilDate(DateOf(days), out);
}

void AppendTimeOfDay(int64_t value, arrow::TimeUnit::type unit, std::string* out) {
  const int64_t units = UnitsASecond(unit);
  AppendClock(value / units, value % units, units, out);
}

void AppendUtcOffset(int64_t seconds, std::string* out) {
  *out += seconds < 0 ? '-' : '+';
  seconds = std::llabs(seconds);
  fmt::format_to(std::back_inserter(*out), "{:02}", seconds / 3600);
  if (seconds % 3600 != 0) {
    fmt::format_to(std::back_inserter(*out), ":{:02}", seconds / 60 % 60);
  }
  if (seconds % 60 != 0) {
    fmt::format_to(std::back_inserter(*out), ":{:02}", seconds % 60);
  }
}

void AppendTimestamp(int64_t value, arrow::TimeUnit::type unit, const std::string& zone,
                     TemporalStyle style, std::string* out) {
  if (value == std::numeric_limits<int64_t>::max()) {
    *out += "infinity";
    return;
  }
  if (value <= -std::numeric_limits<int64_t>::max()) {
    *out += "-infinity";
    return;
  }
  const int64_t units = UnitsASecond(unit);
  const int64_t utc_seconds = FloorDivide(value, units);
  const int64_t fraction = value - utc_seconds * units;
  const int64_t offset = zone.empty() ? 0 : OffsetOf(zone, utc_seconds);
  const int64_t seconds = utc_seconds + offset;
  const int64_t days = FloorDivide(seconds, kSecondsADay);
  AppendCivilDate(DateOf(days), out);
  *out += style == TemporalStyle::kIso ? 'T' : ' ';
  AppendClock(seconds - days * kSecondsADay, fraction, units, out);
  if (!zone.empty()) {
    if (style == TemporalStyle::kIso && offset == 0) {
      *out += 'Z';
    } else {
      AppendUtcOffset(offset, out);
      // ISO 8601 wants hours and minutes alike.
      if (style == TemporalStyle::kIso && offset % 3600 == 0) *out += ":00";
    }
  }
}

void AppendInterval(int64_t months, int64_t days, int64_t nanoseconds, std::string* out) {
  std::string text;
  AppendCount(months / 12, "year", &text);
  AppendCount(months % 12, "month", &text);
  AppendCount(days, "day", &text);
  if (nanoseconds != 0 || text.empty()) {
    constexpr int64_t kNanoseconds = 1000000000;
    if (!text.empty()) text += ' ';
    if (nanoseconds < 0) text += '-';
    const int64_t seconds = std::llabs(nanoseconds / kNanoseconds);
    AppendClock(seconds, std::llabs(nanoseconds % kNanoseconds), kNanoseconds, &text);
  }
  *out += text;
}

}  // namespace ballista::shell
