#include "ballista/flight/address_list.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "ballista/base/ids.h"

namespace ballista::flight {
namespace {

std::optional<Address> ParseAddress(std::string text, uint16_t port) {
  size_t colon = text.rfind(':');
  const bool bracketed = !text.empty() && text.front() == '[';
  const bool bare_ipv6 = !bracketed && colon != text.find(':');
  if (bare_ipv6 || (bracketed && text.back() == ']')) colon = std::string::npos;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
    text.resize(colon);
  }
  if (bracketed) {
    if (text.back() != ']') return std::nullopt;
    text = text.substr(1, text.size() - 2);
  }
  if (port == 0 || !IsHostName(text)) return std::nullopt;
  return Address{text, port};
}

std::set<std::string> AddressesOf(const std::string& host, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::set<std::string> addresses;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses.insert(text);
    }
  }
  freeaddrinfo(found);
  return addresses;
}

}  // namespace

arrow::Result<std::vector<Address>> ParseAddressList(const std::string& list,
                                                     uint16_t port) {
  std::vector<Address> addresses;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    std::string part = list.substr(begin, end - begin);
    begin = end + 1;
    while (!part.empty() && part.front() == ' ') part.erase(0, 1);
    while (!part.empty() && part.back() == ' ') part.pop_back();
    const auto address = ParseAddress(part, port);
    if (!address) {
      return arrow::Status::Invalid("'", part,
                                    "' is no host or host:port; several have commas "
                                    "between them");
    }
    if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

std::vector<Address> ResolveAll(const std::vector<Address>& addresses) {
  std::vector<Address> all;
  const auto add = [&all](const Address& address) {
    if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  };
  for (const Address& address : addresses) {
    auto found = AddressesOf(address.host, AF_INET);
    if (found.empty()) found = AddressesOf(address.host, AF_INET6);
    // One alone keeps its name, by which a certificate may know it.
    if (found.size() < 2) {
      add(address);
      continue;
    }
    for (const auto& host : found) add({host, address.port});
  }
  return all;
}

}  // namespace ballista::flight
