#include "ballista/security/tls_material.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

namespace ballista::security {
namespace {

using arrow::Status;

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

constexpr const char* kSystemRoots = "/etc/ssl/certs/ca-certificates.crt";

arrow::Result<std::string> ReadPem(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Status::IOError("it cannot be read: ", std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad() || text.str().empty()) {
    return Status::IOError("it is empty or cannot be read");
  }
  return std::move(text).str();
}

Bio OpenText(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string TimeText(const ASN1_TIME* time) {
  const Bio out(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(out.get(), time);
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

// Every certificate of a text; at least one.
arrow::Result<std::vector<Certificate>> ParseCertificates(const std::string& text) {
  const auto bio = OpenText(text);
  std::vector<Certificate> all;
  while (Certificate one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    all.push_back(std::move(one));
  }
  ERR_clear_error();
  if (all.empty()) return Status::Invalid("it holds no certificate in PEM form");
  return all;
}

Status CheckDates(const X509* certificate) {
  const auto* end = X509_get0_notAfter(certificate);
  const auto* start = X509_get0_notBefore(certificate);
  if (X509_cmp_current_time(end) < 0) {
    return Status::Invalid("the certificate expired at ", TimeText(end));
  }
  if (X509_cmp_current_time(start) > 0) {
    return Status::Invalid("the certificate is not valid before ", TimeText(start));
  }
  return Status::OK();
}

arrow::Result<Key> ParseKey(const std::string& text) {
  // A passphrase is never asked for.
  const auto none = [](char*, int, int, void*) { return 0; };
  Key key(PEM_read_bio_PrivateKey(OpenText(text).get(), nullptr, none, nullptr));
  ERR_clear_error();
  if (key != nullptr) return key;
  return Status::Invalid(
      text.find("ENCRYPTED") == std::string::npos
          ? "it holds no private key in PEM form"
          : "the key is encrypted; `openssl pkey` writes it without a passphrase");
}

bool HasName(X509* certificate, const std::string& name) {
  return X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1 ||
         X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
}

// Reads the files of one TlsMaterial; the first error stays.
class Loader {
 public:
  Loader(const TlsPaths& paths, const Refuse& refuse) : paths_(paths), refuse_(refuse) {}

  Status CertAndKey(const std::vector<std::string>& names, TlsMaterial* material) {
    ARROW_ASSIGN_OR_RAISE(material->cert, Read("tls-cert", paths_.cert));
    auto certificates = ParseCertificates(material->cert);
    if (!certificates.ok()) return Bad("tls-cert", certificates.status());
    X509* own = certificates->front().get();
    if (auto dated = CheckDates(own); !dated.ok()) return Bad("tls-cert", dated);
    ARROW_ASSIGN_OR_RAISE(material->key, Read("tls-key", paths_.key));
    const auto key = ParseKey(material->key);
    if (!key.ok()) return Bad("tls-key", key.status());
    if (X509_check_private_key(own, key->get()) != 1) {
      ERR_clear_error();
      return refuse_("tls-key", "it is not the key of the certificate " + paths_.cert);
    }
    for (const auto& name : names) {
      if (HasName(own, name)) continue;
      return refuse_("tls-cert",
                     fmt::format("the certificate is not for {}, the name under which "
                                 "other processes reach this one",
                                 name));
    }
    return Status::OK();
  }

  Status Roots(const std::string& option, const std::string& path, std::string* text) {
    ARROW_ASSIGN_OR_RAISE(*text, Read(option, path));
    const auto certificates = ParseCertificates(*text);
    if (!certificates.ok()) return Bad(option, certificates.status());
    for (const auto& one : *certificates) {
      // A list may keep old ones beside those that replace them.
      if (certificates->size() > 1) break;
      if (auto dated = CheckDates(one.get()); !dated.ok()) return Bad(option, dated);
    }
    return Status::OK();
  }

 private:
  arrow::Result<std::string> Read(const std::string& option, const std::string& path) {
    auto text = ReadPem(path);
    if (!text.ok()) return Bad(option, text.status());
    return text;
  }
  Status Bad(const std::string& option, const Status& status) {
    return refuse_(option, status.message());
  }

  const TlsPaths& paths_;
  const Refuse& refuse_;
};

}  // namespace

arrow::Result<TlsMaterial> LoadNodeTls(const TlsPaths& paths,
                                       const std::vector<std::string>& names,
                                       const Refuse& refuse) {
  TlsMaterial material;
  if (paths.cert.empty() && paths.key.empty() && paths.ca.empty() &&
      paths.client_ca.empty()) {
    return material;
  }
  for (const auto& [option, path] : {std::pair{"tls-cert", &paths.cert},
                                     {"tls-key", &paths.key},
                                     {"tls-ca", &paths.ca}}) {
    if (!path->empty()) continue;
    return refuse(
        option,
        "TLS needs tls-cert, tls-key and tls-ca together, the last one to check "
        "the other processes of the cluster");
  }
  Loader loader(paths, refuse);
  ARROW_RETURN_NOT_OK(loader.CertAndKey(names, &material));
  ARROW_RETURN_NOT_OK(loader.Roots("tls-ca", paths.ca, &material.ca));
  if (!paths.client_ca.empty()) {
    ARROW_RETURN_NOT_OK(
        loader.Roots("tls-client-ca", paths.client_ca, &material.client_ca));
  }
  return material;
}

arrow::Result<TlsMaterial> LoadClientTls(const TlsPaths& paths, const Refuse& refuse) {
  TlsMaterial material;
  Loader loader(paths, refuse);
  ARROW_RETURN_NOT_OK(
      loader.Roots("tls-ca", paths.ca.empty() ? kSystemRoots : paths.ca, &material.ca));
  if (paths.cert.empty() != paths.key.empty()) {
    return refuse(paths.cert.empty() ? "tls-cert" : "tls-key",
                  "tls-cert and tls-key go together");
  }
  if (!paths.cert.empty()) ARROW_RETURN_NOT_OK(loader.CertAndKey({}, &material));
  return material;
}

std::string ExplainTlsFailure(std::string_view message, bool tls) {
  constexpr std::string_view kVerify = "certificate verify failed: ";
  if (const size_t at = message.find(kVerify); at != std::string_view::npos) {
    const auto reason = message.substr(at + kVerify.size());
    const size_t end = reason.find_first_of(".;[]");
    return fmt::format("its certificate is not accepted: {}", reason.substr(0, end));
  }
  if (message.find("is not in peer certificate") != std::string_view::npos) {
    return "its certificate is for another host name";
  }
  if (tls && message.find("wrong version number") != std::string_view::npos) {
    return "it does not speak TLS";
  }
  if (message.find("Socket closed") != std::string_view::npos ||
      message.find("Connection reset by peer") != std::string_view::npos) {
    return tls ? "it hung up: it may not accept this side's client certificate, or want "
                 "one (tls-cert, tls-key)"
               : "it hung up: it may want TLS";
  }
  return "";
}

}  // namespace ballista::security
