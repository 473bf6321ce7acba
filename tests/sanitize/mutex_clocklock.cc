// What locks a std::timed_mutex until a time of the steady clock. clang 14's
// ThreadSanitizer does not know the function that the C++ library calls for it, so that
// it sees an unlock without its lock. It does know pthread_mutex_timedlock.
#include <pthread.h>

#include <ctime>

extern "C" int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                       const timespec* until) noexcept {
  constexpr long kSecond = 1'000'000'000;
  timespec now_there{};
  timespec now{};
  clock_gettime(clock, &now_there);
  clock_gettime(CLOCK_REALTIME, &now);
  long seconds = now.tv_sec + until->tv_sec - now_there.tv_sec;
  long nanoseconds = now.tv_nsec + until->tv_nsec - now_there.tv_nsec;
  for (; nanoseconds < 0; nanoseconds += kSecond) --seconds;
  for (; nanoseconds >= kSecond; nanoseconds -= kSecond) ++seconds;
  const timespec then{seconds, nanoseconds};
  return pthread_mutex_timedlock(mutex, &then);
}
