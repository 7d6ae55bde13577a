#include "memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace longlag {
namespace {

constexpr std::size_t kLine = 64, kLarge = std::size_t{1} << 21;

float* allocated(std::size_t bytes) {
  const bool large = bytes >= kLarge;
  float* block = static_cast<float*>(std::aligned_alloc(large ? kLarge : kLine, bytes));
  if (!block) throw std::bad_alloc();
#if defined(__linux__)
  if (large) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

struct Piece {
  float* block;
  std::size_t bytes;
};

// Large blocks that wait for their next use; the system may take their pages where it lacks memory.
class Shelf {
 public:
  // The smallest that is large enough, and not twice as large; else nothing.
  Piece take(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto fits = [&](const Piece& piece) { return piece.bytes >= bytes; };
    const auto found = std::find_if(pieces_.begin(), pieces_.end(), fits);
    if (found == pieces_.end() || found->bytes >= 2 * bytes) return {nullptr, 0};
    const Piece piece = *found;
    pieces_.erase(found);
    return piece;
  }

  // Keeps the largest ones, as many as threads may need together.
  void put(Piece piece) {
#if defined(MADV_FREE)
    madvise(piece.block, piece.bytes, MADV_FREE);
#endif
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto larger = [&](const Piece& other) { return other.bytes > piece.bytes; };
    pieces_.insert(std::find_if(pieces_.begin(), pieces_.end(), larger), piece);
    if (pieces_.size() <= most_) return;
    std::free(pieces_.front().block);
    pieces_.erase(pieces_.begin());
  }

 private:
  const std::size_t most_ = std::max(2u, std::thread::hardware_concurrency());
  std::mutex mutex_;
  std::vector<Piece> pieces_;  // by size
};

// Never destroyed: a thread may still be at work when the program ends.
Shelf& shelf() {
  static Shelf& shelf = *new Shelf;
  return shelf;
}

}  // namespace

Block::Block(std::int64_t floats) {
  const std::size_t needed = std::max<std::size_t>(static_cast<std::size_t>(floats), 1) * 4;
  const std::size_t unit = needed >= kLarge ? kLarge : kLine;
  bytes_ = (needed + unit - 1) / unit * unit;
  if (bytes_ >= kLarge) {
    const Piece piece = shelf().take(bytes_);
    data_ = piece.block;
    if (data_) bytes_ = piece.bytes;
  }
  if (!data_) data_ = allocated(bytes_);
}

Block::~Block() {
  if (bytes_ >= kLarge)
    shelf().put({data_, bytes_});
  else
    std::free(data_);
}

}  // namespace longlag
