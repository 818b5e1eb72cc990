// QuickFIX (the C++ library) on the same FIX messages: each one cut before, its
// length and sum checked, all fields copied into an object.
//
//   quickfix STREAM NAME     prints one line of the table
#include <quickfix/Message.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const std::string stream((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> messages;
  for (size_t at = 0; at < stream.size();) {
    const size_t end = stream.find("\00110=", at) + 8;
    messages.push_back(stream.substr(at, end - at));
    at = end;
  }
  std::vector<double> times;
  for (int round = 0; round < 100; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    size_t found = 0;
    for (const auto& text : messages) {
      const FIX::Message message(text, true);
      found += message.getHeader().isSetField(49) ? 1 : 0;
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    if (found != messages.size()) return 1;
    times.push_back(took.count() / messages.size());
  }
  std::sort(times.begin(), times.end());
  std::printf("| %s | QuickFIX C++ %s (QuickFIX licence) | cut before, sums checked, copies of all fields | %.0f | %.0f | %.2f |\n",
              argv[2], QUICKFIX_VERSION, times.front(), times[times.size() / 2], times.front() / std::stod(argv[3]));
}
