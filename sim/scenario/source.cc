// SPDX-License-Identifier: Apache-2.0
#include "sim/scenario/source.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "sim/scenario/step.h"

namespace mmsim::scenario {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 16;
constexpr size_t kMaxOwnedBytes = kMaxTextBytes / 4;

absl::Status SystemError(const std::string& path, int error) {
  const std::string message = fmt::format("{}: {}", path, std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::InvalidArgumentError(message);
}

// Grows a text, and refuses early what would be refused anyway: a text or a line without end must not fill
// memory.
class Growing {
 public:
  Growing(const std::string& path, std::string* text) : path_(path), text_(text) {}

  absl::Status Append(std::string_view chunk) {
    const size_t newline = chunk.rfind('\n');
    const size_t first = chunk.find('\n');
    if (line_bytes_ + std::min(first, chunk.size()) > kMaxLineBytes) return LineTooLong();
    if (newline != std::string_view::npos) line_bytes_ = 0;
    line_bytes_ += chunk.size() - (newline == std::string_view::npos ? 0 : newline + 1);
    if (text_->size() + chunk.size() > kMaxOwnedBytes) {
      return absl::InvalidArgumentError(
          fmt::format("{}: more than {} MiB of text that is no plain file", path_, kMaxOwnedBytes >> 20));
    }
    text_->append(chunk);
    return absl::OkStatus();
  }

 private:
  absl::Status LineTooLong() const {
    const auto lines = std::count(text_->begin(), text_->end(), '\n');
    return absl::InvalidArgumentError(
        fmt::format("{}:{}:1: the line is longer than {} MiB", path_, lines + 1, kMaxLineBytes >> 20));
  }
  const std::string& path_;
  std::string* text_;
  size_t line_bytes_ = 0;
};

bool IsGzip(std::string_view bytes) {
  return bytes.substr(0, 2) == "\x1f\x8b";
}

// Inflates all members of `packed`.
absl::Status Inflate(const std::string& path, std::string_view packed, std::string* text) {
  Growing growing(path, text);
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) return absl::InternalError("zlib cannot be initialised");
  std::vector<char> out(kChunkBytes);
  absl::Status status;
  size_t fed = 0;
  int code = Z_OK;
  while (status.ok() && (fed < packed.size() || stream.avail_in > 0)) {
    if (stream.avail_in == 0) {
      const size_t n = std::min(packed.size() - fed, kChunkBytes);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + fed));
      stream.avail_in = static_cast<uInt>(n);
      fed += n;
    }
    if (code == Z_STREAM_END && inflateReset(&stream) != Z_OK) break;
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) break;
    status = growing.Append({out.data(), out.size() - stream.avail_out});
  }
  // What inflate holds back is less than a window; drain it.
  while (status.ok() && code == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    code = inflate(&stream, Z_SYNC_FLUSH);
    const size_t n = out.size() - stream.avail_out;
    if (n == 0) break;
    status = growing.Append({out.data(), n});
  }
  inflateEnd(&stream);
  if (status.ok() && code != Z_STREAM_END) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the gzip data is damaged or cut off, {} bytes into its text", path, text->size()));
  }
  return status;
}

absl::Status ReadAll(const std::string& path, int fd, std::string* text) {
  Growing growing(path, text);
  std::vector<char> chunk(kChunkBytes);
  for (bool first = true;; first = false) {
    const ssize_t n = read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(path, errno);
    if (n == 0) return absl::OkStatus();
    if (first && IsGzip({chunk.data(), static_cast<size_t>(n)})) {
      return absl::InvalidArgumentError(fmt::format("{}: gzip through a pipe; inflate it first", path));
    }
    if (absl::Status s = growing.Append({chunk.data(), static_cast<size_t>(n)}); !s.ok()) return s;
  }
}

// A file too small to be worth a mapping.
absl::Status ReadSmall(const std::string& path, int fd, size_t size, std::string* text) {
  text->resize(size);
  size_t got = 0;
  while (got < size) {
    const ssize_t n = read(fd, text->data() + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(path, errno);
    if (n == 0) break;  // it has become shorter
    got += static_cast<size_t>(n);
  }
  text->resize(got);
  return absl::OkStatus();
}

absl::Status FromSmallFile(const std::string& path, int fd, size_t size, Source* source) {
  absl::Status status = ReadSmall(path, fd, size, &source->owned);
  if (status.ok() && IsGzip(source->owned)) {
    const std::string packed = std::exchange(source->owned, {});
    status = Inflate(path, packed, &source->owned);
  }
  source->text = source->owned;
  return status;
}

absl::Status FromDescriptor(const std::string& path, int fd, Source* source) {
  struct stat st;
  if (fstat(fd, &st) != 0) return SystemError(path, errno);
  if (S_ISDIR(st.st_mode))
    return absl::InvalidArgumentError(fmt::format("{}: is a directory, not a scenario", path));
  if (!S_ISREG(st.st_mode) || st.st_size == 0) {
    if (absl::Status s = ReadAll(path, fd, &source->owned); !s.ok()) return s;
    source->text = source->owned;
    return absl::OkStatus();
  }
  const auto size = static_cast<size_t>(st.st_size);
  if (size > kMaxTextBytes) {
    return absl::InvalidArgumentError(fmt::format("{}: larger than {} GiB", path, kMaxTextBytes >> 30));
  }
  if (size <= kChunkBytes) return FromSmallFile(path, fd, size, source);
  void* mapping = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapping == MAP_FAILED) return SystemError(path, errno);
  madvise(mapping, size, MADV_SEQUENTIAL);
  const std::string_view bytes(static_cast<const char*>(mapping), size);
  if (!IsGzip(bytes)) {
    source->mapping = mapping;
    source->text = bytes;
    return absl::OkStatus();
  }
  absl::Status status = Inflate(path, bytes, &source->owned);
  munmap(mapping, size);
  source->text = source->owned;
  return status;
}

}  // namespace

absl::Status OpenSource(const std::string& path, Source* source) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, errno);
  absl::Status status = FromDescriptor(path, fd, source);
  close(fd);
  return status;
}

void CloseSource(Source* source) {
  if (source->mapping != nullptr) munmap(source->mapping, source->text.size());
  source->mapping = nullptr;
}

}  // namespace mmsim::scenario
