#include "ballista/security/secrets.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

namespace ballista::security {
namespace {

constexpr size_t kLeastSecret = 16;
constexpr size_t kMostSecretFile = 4096;
constexpr const char* kBlanks = " \t\r\n";

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Crypt(const std::string& password, const std::string& setting) {
  void* data = nullptr;
  int size = 0;
  const char* hash = crypt_ra(password.c_str(), setting.c_str(), &data, &size);
  std::string result = hash == nullptr ? "" : hash;
  OPENSSL_cleanse(data, static_cast<size_t>(size));
  std::free(data);
  return result;
}

}  // namespace

Digest Sha256(std::string_view bytes) {
  Digest digest;
  SHA256(Bytes(bytes), bytes.size(), digest.data());
  return digest;
}

Digest HmacSha256(std::string_view key, std::string_view bytes) {
  Digest digest;
  unsigned int size = digest.size();
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Bytes(bytes), bytes.size(),
       digest.data(), &size);
  return digest;
}

std::string Hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string NewToken() {
  Digest random;
  // Without randomness nothing is safe, so nothing goes on.
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) std::abort();
  return Hex(random);
}

arrow::Result<std::string> HashPassword(const std::string& password) {
  if (password.empty()) return arrow::Status::Invalid("a password must not be empty");
  if (password.size() > CRYPT_MAX_PASSPHRASE_SIZE ||
      password.find('\0') != std::string::npos) {
    return arrow::Status::Invalid("a password has at most ", CRYPT_MAX_PASSPHRASE_SIZE,
                                  " bytes, none of them 0");
  }
  const std::unique_ptr<char, decltype(&std::free)> setting(
      crypt_gensalt_ra("$y$", 0, nullptr, 0), std::free);
  if (setting == nullptr) {
    return arrow::Status::IOError("no salt for a password: ", std::strerror(errno));
  }
  auto hash = Crypt(password, setting.get());
  if (hash.empty() || hash[0] == '*') {
    return arrow::Status::IOError("the password cannot be hashed: ",
                                  std::strerror(errno));
  }
  return hash;
}

bool IsPassword(const std::string& password, const std::string& hash) {
  if (password.size() > CRYPT_MAX_PASSPHRASE_SIZE ||
      password.find('\0') != std::string::npos) {
    return false;
  }
  const auto made = Crypt(password, hash);
  return !made.empty() && made[0] != '*' && EqualInConstantTime(made, hash);
}

const std::string& NobodysHash() {
  static const std::string hash = HashPassword(NewToken()).ValueOr("*");
  return hash;
}

arrow::Result<std::string> ReadSecretFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return arrow::Status::IOError("it cannot be read: ", std::strerror(errno));
  }
  std::string text(kMostSecretFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return arrow::Status::IOError("it cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  const size_t first = text.find_first_not_of(kBlanks);
  const size_t last = text.find_last_not_of(kBlanks);
  const auto secret =
      first == std::string::npos ? "" : text.substr(first, last - first + 1);
  if (secret.size() < kLeastSecret || text.size() > kMostSecretFile ||
      secret.find_first_of(kBlanks) != std::string::npos) {
    return arrow::Status::Invalid("it must hold one word of at least ", kLeastSecret,
                                  " characters; `openssl rand -hex 32` makes a good one");
  }
  return secret;
}

arrow::Result<std::string> DecodeBase64(std::string_view given) {
  std::string text(given);
  // Some clients leave the padding out.
  while (text.size() % 4 != 0) text += '=';
  const auto bad = [] { return arrow::Status::Invalid("no base64"); };
  if (text.size() > kMostSecretFile || text.size() % 4 != 0) return bad();
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   Bytes(text), static_cast<int>(text.size()));
  if (size < 0) return bad();
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') {
    ++padding;
  }
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

}  // namespace ballista::security
