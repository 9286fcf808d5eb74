// A lifecycle log on a terminal: small real runs as they are drawn, relative numbers, what is lost, what is hostile.
#include "report/log_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <sstream>

#include "report/log_words.h"
#include "unit/report/real_logs.h"

namespace lastack::test {
namespace {

LogTrace traced(const std::string& log) {
  auto trace = trace_of(log);
  EXPECT_TRUE(trace) << (trace ? "" : trace.error().message);
  return trace ? std::move(*trace) : LogTrace{};
}

LogTextOptions bare(std::size_t width = 110) {
  LogTextOptions options;
  options.width = width;
  options.legend = false;
  return options;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

constexpr std::string_view kHeader =
    R"({"format":"lastack-lifecycle","version":1,"lastack":"0.1.0","world":"endpoint","vantage":"a",)"
    R"("clock":"monotonic, ns","settings":{},"coverage":{}})";

TEST(SequenceDiagram, LostLastAck) {
  EXPECT_EQ(sequence_diagram(traced(lost_last_ack_log()), bare()),
            R"(        ms  client                             server  client | server
 1,000.000  |                  listen() 10.0.0.2:80 *  RFC9293:3.10.1
 1,000.000  * connect()                             |  SYN_SENT | -                 RFC9293:3.10.1
 1,000.000  |-- SYN 0 ----------------------------->|  SYN_SENT | SYN_RECEIVED      RFC9293:3.10.7.2, third
 1,005.000  |<---------------------- SYN 0, ACK 1 --|  ESTABLISHED | SYN_RECEIVED   RFC9293:3.10.7.3, fourth
 1,010.000  |-- ACK 1 ----------------------------->|  ESTABLISHED | ESTABLISHED    RFC9293:3.10.7.4, fifth
 1,015.000  |                              accept() *
 1,020.000  * close()                               |  FIN_WAIT_1 | ESTABLISHED     RFC9293:3.10.4
 1,020.000  |-- FIN 1, ACK 1 ---------------------->|  FIN_WAIT_1 | CLOSE_WAIT      RFC9293:3.10.7.4, eighth
 1,026.000  |                 time-out: delayed ACK *
 1,026.000  |<----------------------------- ACK 2 --|  FIN_WAIT_2 | CLOSE_WAIT      RFC9293:3.10.7.4, fifth
 1,040.000  |                               close() *  FIN_WAIT_2 | LAST_ACK        RFC9293:3.10.4
 1,040.000  |<---------------------- FIN 1, ACK 2 --|  TIME_WAIT | LAST_ACK         RFC9293:3.10.7.4, eighth
 1,045.000  |-- ACK 2 ------------- lost --X        |  lost: fault
 1,252.000  |                  time-out: loss probe *
 1,252.000  |<---------------------- FIN 1, ACK 2 --|  again
 1,257.000  |-- ACK 2 ----------------------------->|  TIME_WAIT | CLOSED           RFC9293:3.10.7.4, fifth
61,257.000  * time-out: 2 MSL                       |  CLOSED | CLOSED
            |                                       |    RFC9293:3.10.8; MUST-13; TIME_WAIT is over
)");
}

// The port is used again while the server is in LAST_ACK: both uses, each in its own numbers; the challenged client
// resets with a number of the use before.
TEST(SequenceDiagram, ThePortIsUsedAgainInLastAck) {
  const LogTrace trace = traced(last_ack_reuse_log());
  ASSERT_EQ(trace.connections().size(), 2u);
  EXPECT_EQ(trace.connections()[1].use, 2u);
  EXPECT_EQ(trace.connections()[0].pair, trace.connections()[1].pair);
  LogTextOptions options = bare();
  options.from = 3'900'000'000;
  EXPECT_EQ(sequence_diagram(trace, options),
            R"(       ms  conn  client                        server  client | server
3,940.000     1  * TIME_WAIT reused by connect()    |  CLOSED | LAST_ACK
                 |                                  |    linux-facts 16 to 18: the port is used again
3,940.000     2  * connect()                        |  SYN_SENT | LAST_ACK          RFC9293:3.10.1
3,940.000     2  |-- SYN 0 ------------------------>|  use 2: its SYN is 65537 above the end of use 1
3,945.000     1  |<------------------------ ACK 2 --|
3,950.000     2  |-- RST 2' ----------------------->|  SYN_SENT | CLOSED            RFC9293:3.10.7.4, second
3,958.000     2  * time-out: retransmission         |
3,958.000     2  |-- SYN 0 ------------------------>|  SYN_SENT | SYN_RECEIVED  again; RFC9293:3.10.7.2, third
3,963.000     2  |<----------------- SYN 0, ACK 1 --|  ESTABLISHED | SYN_RECEIVED
                 |                                  |    use 2: its SYN is 46218748 above the end of use 1;
                 |                                  |    RFC9293:3.10.7.3, fourth
3,968.000     2  |-- ACK 1 ------------------------>|  ESTABLISHED | ESTABLISHED    RFC9293:3.10.7.4, fifth
5,960.000     2  * abort()                          |
5,960.000     2  |-- RST 1, ACK 1 ----------------->|  CLOSED | CLOSED
                 |                                  |    RFC9293:3.10.5; RFC9293:3.10.7.4, second
)");
}

// A log of a kernel counts no uses: they are told by their SYNs, and the challenge belongs to the first.
TEST(SequenceDiagram, UsesAreToldBySynWhereNobodyCountsThem) {
  std::string log;
  for (std::string line : lines_of(last_ack_reuse_log())) {
    const std::size_t inc = line.find("\"inc\":");
    if (inc != line.npos) line.erase(inc, line.find(',', inc) + 1 - inc);
    if (line.find("state:") == line.npos && line.find("timewait:") == line.npos) log += line + "\n";
  }
  const LogTrace trace = traced(log);
  ASSERT_EQ(trace.connections().size(), 2u);
  std::string said;
  for (const TraceEvent& e : trace.events()) {
    if (e.what == Happening::SegmentSent && e.at >= 3'940'000'000) {
      said += std::to_string(e.connection + 1) + ": " + segment_words(e) + "\n";
    }
  }
  EXPECT_EQ(
      said,
      "2: SYN 0\n1: ACK 2\n2: RST 2'\n2: SYN 0\n2: SYN 0, ACK 1\n2: ACK 1\n2: RST 1, ACK 1\n");
}

// Where segments overtake or follow one another on the wire, each is two halves with its number.
TEST(SequenceDiagram, HalvesCarryTheNumber) {
  LogTextOptions options = bare(100);
  options.from = 1'080'000'000;
  options.to = 1'090'000'000;
  EXPECT_EQ(sequence_diagram(traced(plain_log()), options),
            R"(       ms  client                       server  client | server
1,080.000  |                          read() *
1,080.000  |                         write() *
1,080.000  |         <- 1+1448, ACK 101 #6 --|
1,080.000  |      <- 1449+1448, ACK 101 #7 --|
1,080.000  |   <- PSH 2897+104, ACK 101 #8 --|
1,085.000  |<- 1+1448, ACK 101 #6 --         |
1,085.000  |-- ACK 1449 #9 -->               |
1,085.000  |<- 1449+1448, ACK 101 #7 --      |
1,085.000  |-- ACK 2897 #10 ->               |
1,085.000  |<- PSH 2897+104, ACK 101 #8 --   |
1,085.000  |-- ACK 3001 #11 ->               |
1,090.000  |               --- ACK 1449 #9 ->|
1,090.000  |               -- ACK 2897 #10 ->|
1,090.000  |               -- ACK 3001 #11 ->|
)");
}

TEST(SequenceDiagram, ThreeHosts) {
  LogTextOptions options = bare(100);
  options.from = 1'040'000'000;
  EXPECT_EQ(sequence_diagram(traced(three_hosts_log()), options),
            R"(       ms  conn  client                  proxy              server
1,040.000     1  |                       * read()                |
1,040.000     2  |                       * connect()             |  proxy SYN_SENT; RFC9293:3.10.1
1,040.000     2  |                       |-- SYN 0 ------------->|
1,045.000     2  |                       |<------ RST 0, ACK 1 --|  proxy CLOSED; RFC9293:3.10.7.3,
                 |                       |                       |    second
1,060.000     2  |                       * close()               |
1,060.000     1  |                       * abort()               |
1,060.000     1  |<---- RST 1, ACK 101 --|                       |  proxy CLOSED; RFC9293:3.10.5;
                 |                       |                       |    client CLOSED;
                 |                       |                       |    RFC9293:3.10.7.4, second
1,080.000     1  * close()               |                       |
1,080.000        |                       |  listen() 10.0.0.2:80 *  RFC9293:3.10.1
)");
}

// One host's log: the other end is known by its address only, and what it sends has no number.
TEST(SequenceDiagram, OneHostAlone) {
  const std::string whole = plain_log();
  std::string alone;
  for (std::string line : lines_of(whole)) {
    if (line.find("\"host\":\"client\"") == line.npos && line.find("\"format\"") == line.npos)
      continue;
    const bool received = line.find("segment:received") != line.npos;
    const std::size_t id = line.find("\"id\":");
    if (received && id != line.npos) line.erase(id, line.find(',', id) + 1 - id);
    alone += line + "\n";
  }
  LogTextOptions options = bare(100);
  options.to = 1'100'000'000;
  const std::string drawn = sequence_diagram(traced(alone), options);
  EXPECT_NE(drawn.find("client                     10.0.0.2\n"), drawn.npos) << drawn;
  EXPECT_NE(drawn.find("|<---------------- SYN 0, ACK 1 --|"), drawn.npos) << drawn;
  EXPECT_NE(drawn.find("|<------------- 1+1448, ACK 101 --|"), drawn.npos) << drawn;
  EXPECT_EQ(drawn.find('#'), drawn.npos) << drawn;
}

TEST(SequenceDiagram, RowsAreLimitedAndSaid) {
  const LogTrace trace = traced(plain_log());
  const std::size_t all = lines_of(sequence_diagram(trace, bare(200))).size();
  LogTextOptions options = bare(200);
  options.rows = 3;
  const std::vector<std::string> lines = lines_of(sequence_diagram(trace, options));
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines.back(), "... " + std::to_string(all - 4) + " more rows, until 61,165.000 ms");
  options.rows = 4;
  EXPECT_EQ(lines_of(event_list(trace, options)).size(), 6u);
  EXPECT_EQ(lines_of(event_list(trace, options)).back(),
            "... " + std::to_string(trace.events().size() - 4) + " more events");
}

TEST(SequenceDiagram, ConnectionsAreChosen) {
  const LogTrace trace = traced(last_ack_reuse_log());
  EXPECT_EQ(trace.find("2").value(), std::vector<std::uint32_t>{1});
  EXPECT_EQ(trace.find("10.0.0.1:40000").value(), (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(trace.find(":80,1").value(), (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(trace.find("3").error().message, "there is no connection 3; the log has 2");
  for (const char* wrong : {"", "x", ":8", "1,", "0.1:40000", "99999999999999999999"}) {
    EXPECT_FALSE(trace.find(wrong)) << wrong;
  }
  LogTextOptions options = bare();
  options.connections = trace.find("2").value();
  const std::string second = sequence_diagram(trace, options);
  EXPECT_EQ(second.find("close()"), second.npos);
  EXPECT_NE(second.find("connect()"), second.npos);
  options.connections = std::vector<std::uint32_t>{};
  EXPECT_NE(sequence_diagram(trace, options).find("nothing of the log"), std::string::npos);
}

TEST(SequenceDiagram, ColourMarksWhatIsLostAndNothingElse) {
  LogTextOptions options = bare();
  options.color = true;
  for (const std::string& line : lines_of(sequence_diagram(traced(lost_last_ack_log()), options))) {
    EXPECT_EQ(line.starts_with("\x1b[31m"), line.find("lost --X") != line.npos) << line;
  }
}

TEST(EventList, NumbersAreRelativeAndCausesNamed) {
  const std::string list = event_list(traced(last_ack_reuse_log()), bare(140));
  EXPECT_NE(list.find("client     2  sent    #18 RST 2' "), list.npos) << list;
  EXPECT_NE(
      list.find(
          "LAST_ACK -> CLOSED                                        segment 18 / RFC9293:3.10.7.4, second"),
      list.npos)
      << list;
  EXPECT_NE(list.find("  wire       1  lost    #7 ACK 2 "), list.npos) << list;
}

// A direction of more than 2^32 bytes goes on counting; a log that begins in the middle counts from there.
TEST(LogTrace, NumbersDoNotWrap) {
  LogTrace trace;
  trace.begin({});
  LifecycleEvent e;
  e.host = "a";
  e.tuple = FourTuple{{kLogClient, 1}, {kLogServer, 2}};
  e.incarnation = 1;
  e.what = Happening::SegmentSent;
  std::uint32_t seq = 0xfffffff0;
  e.segment = SeenSegment{.seq = seq, .flags = 2};
  trace.add(e, 2);
  seq += 1;
  for (int i = 0; i < 5; ++i) {
    e.segment = SeenSegment{.seq = seq, .ack = 77, .length = 1U << 30, .flags = 16};
    trace.add(e, 3);
    seq += 1U << 30;
  }
  EXPECT_EQ(trace.events()[0].seq, 0);
  EXPECT_EQ(trace.events()[5].seq, 1 + 4 * (std::int64_t{1} << 30));
  EXPECT_EQ(trace.events()[1].ack, 1) << "no SYN of that direction was seen";
}

TEST(LogWords, WhatSteersATerminalIsNotShown) {
  EXPECT_EQ(shown("a\x1b[31mb\r\n\x07"), "a?[31mb???");
  EXPECT_EQ(shown("x\xe2\x80\xaey\xe2\x81\xa6z\xef\xbb\xbf"), "x?y?z?")
      << "direction, isolate, mark";
  EXPECT_EQ(shown("\xff\xfe"), "??");
  EXPECT_EQ(shown("abcdef", 4), "abc~");
  EXPECT_EQ(shown("abcd", 4), "abcd");
  EXPECT_EQ(milliseconds(60'021'340'500), "60,021.341");
}

TEST(SequenceDiagram, HostileNamesAndReasons) {
  const std::string evil = R"(\u001b[2J</script><img src=x>\"'\u202e)";
  std::string log(kHeader);
  log += "\n";
  for (int i = 0; i < 20; ++i) {
    log +=
        R"({"t":)" + std::to_string(i) + R"(,"host":")" + evil + std::to_string(i) +
        R"(","local":"10.0.0.)" + std::to_string(i) + R"(:1","remote":"10.0.0.)" +
        std::to_string(i + 1) + R"(:1","ev":"segment:sent","id":)" + std::to_string(i + 1) +
        R"(,"flags":"SFRPAUEC","seq":4294967295,"ack":4294967295,"len":4294967295,"win":0,"sack":[[0,4294967295]],"why":")" +
        evil + R"(","rule":")" + evil + R"("})" + "\n";
  }
  const LogTrace trace = traced(log);
  LogTextOptions options;
  options.color = false;
  for (const std::string& text : {sequence_diagram(trace, options), event_list(trace, options)}) {
    EXPECT_EQ(text.find('\x1b'), text.npos);
    EXPECT_EQ(text.find("\xe2\x80\xae"), text.npos);
  }
}

// Whatever is in a log that can be read, it is drawn; what cannot be read is an error with its line.
TEST(SequenceDiagram, AnyLines) {
  const std::vector<std::string> lines = lines_of(foul_log(5, 8));
  std::mt19937_64 random(1);
  int drawn = 0;
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::string log = lines.front() + "\n";
    for (int i = 0; i < 300; ++i) {
      std::string line = lines[1 + random() % (lines.size() - 1)];
      for (std::uint64_t n = random() % 3; n > 0; --n) {
        // Digits become other digits: what is read stays a line, and says something else.
        const std::size_t at = random() % line.size();
        if (line[at] >= '0' && line[at] <= '9') line[at] = static_cast<char>('0' + random() % 10);
        if (line[at] == 'c') line.insert(at, 1, static_cast<char>('a' + random() % 26));
      }
      LifecycleReader reader;
      (void)reader.read(lines.front());
      if (reader.read(line)) log += line + "\n";
    }
    const auto trace = trace_of(log);
    ASSERT_TRUE(trace) << trace.error().message;
    LogTextOptions options;
    options.width = random() % 200;
    options.rows = random() % 3 * 40;
    drawn += !sequence_diagram(*trace, options).empty() && !event_list(*trace, options).empty();
  }
  EXPECT_EQ(drawn, 60);
  std::string bytes;
  for (int round = 0; round < 2000; ++round) {
    bytes.assign(lines.front() + "\n" + lines[1 + random() % 20] + "\n");
    for (int i = 0; i < 4; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (const auto trace = trace_of(bytes)) {
      (void)sequence_diagram(*trace);
    } else {
      EXPECT_TRUE(trace.error().message.starts_with("line ")) << trace.error().message;
    }
  }
}

TEST(LogTraceReader, ErrorsNameTheLine) {
  const std::string log = plain_log();
  EXPECT_EQ(trace_of("").error().message, "the log is empty");
  EXPECT_EQ(trace_of("\n").error().message, "line 1: not a JSON object");
  const auto cut = trace_of(std::string_view(log).substr(0, log.size() - 10));
  const auto count = std::count(log.begin(), log.end(), '\n');
  EXPECT_EQ(cut.error().message, "line " + std::to_string(count) +
                                     ": not a JSON object (the log ends within this line)");
  const std::string endless = std::string(kHeader) + "\n" + std::string(3 << 20, 'x');
  EXPECT_EQ(trace_of(endless).error().message, "line 2: longer than 1048576 bytes");
  // In pieces of any size it is the same.
  LogTraceReader reader;
  for (std::size_t at = 0; at < log.size(); at += 7) {
    ASSERT_TRUE(reader.feed(std::string_view(log).substr(at, 7)));
  }
  ASSERT_TRUE(reader.finish());
  EXPECT_EQ(event_list(reader.trace()), event_list(traced(log)));
}

}  // namespace
}  // namespace lastack::test
