// Hashes of secrets, random tokens, secrets from files. No function here logs or returns
// a secret in an error. All are thread-safe.
#pragma once

#include <arrow/result.h>

#include <array>
#include <string>
#include <string_view>

namespace ballista::security {

using Digest = std::array<unsigned char, 32>;

Digest Sha256(std::string_view bytes);
Digest HmacSha256(std::string_view key, std::string_view bytes);
std::string Hex(const Digest& digest);

// In a time that depends on the lengths alone.
bool EqualInConstantTime(std::string_view a, std::string_view b);

// 64 hexadecimal digits from the operating system's random source.
std::string NewToken();

// A salted hash of the system's crypt: yescrypt, "$y$...". Tens of milliseconds and 16
// MiB. Error: Invalid for an empty password or one of more than 512 bytes.
arrow::Result<std::string> HashPassword(const std::string& password);

// Whether `hash`, of any method of crypt ("openssl passwd -6" makes one), is the
// password's. As slow as the hash was made.
bool IsPassword(const std::string& password, const std::string& hash);

// A hash that no password has, for users that are not there: as slow to check.
const std::string& NobodysHash();

// The one line of a file, without blanks around it. Errors: IOError, or Invalid for a
// text of fewer than 16 characters or several lines; half a sentence without the text.
arrow::Result<std::string> ReadSecretFile(const std::string& path);

// The bytes of base64 text, with its padding or without. Error: Invalid.
arrow::Result<std::string> DecodeBase64(std::string_view text);

}  // namespace ballista::security
