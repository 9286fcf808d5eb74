#include <gtest/gtest.h>

#include <random>
#include <string>

#include "services/http_message.h"

namespace lastack {
namespace {

TEST(HttpHead, IsIncompleteUntilItsEmptyLine) {
  const std::string text =
      "\r\nGET /a?b HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive , close\r\n\r\nrest";
  HttpHead head;
  const std::size_t whole = text.size() - 4;
  for (std::size_t n = 0; n < whole; ++n) {
    ASSERT_EQ(parse_http_head(std::string_view(text).substr(0, n), head), HeadState::Incomplete)
        << n;
  }
  ASSERT_EQ(parse_http_head(text, head), HeadState::Complete);
  EXPECT_EQ(head.length, whole);
  EXPECT_EQ(head.start[0], "GET");
  EXPECT_EQ(head.start[1], "/a?b");
  EXPECT_EQ(head.start[2], "HTTP/1.1");
  EXPECT_EQ(head.field("host"), "x");
  EXPECT_FALSE(head.field("hos"));
  EXPECT_TRUE(head.lists("connection", "close"));
  EXPECT_TRUE(head.lists("connection", "keep-alive"));
  EXPECT_FALSE(head.lists("connection", "keep"));
}

TEST(HttpHead, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* text :
       {"GET\r\n\r\n", " / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "GET / HTTP/1.1\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET /a\rb HTTP/1.1\r\n\r\n", "GET /\x1b[31m HTTP/1.1\r\n\r\n",
        "HTTP/1.1 404 \x1b]0;x\x07\r\n\r\n"}) {
    HttpHead head;
    EXPECT_EQ(parse_http_head(text, head), HeadState::Bad) << text;
  }
}

TEST(HttpHeadReader, FindsWhatTheParserFindsHoweverItComes) {
  std::mt19937 dice(11);
  const std::string text = "\r\n\n\r\nGET / HTTP/1.1\r\nA: b\n\r\nGET /2 HTTP/1.0\n\n";
  for (unsigned i = 0; i < 500; ++i) {
    HttpHeadReader reader;
    HttpHead head, whole;
    HeadState state = HeadState::Incomplete;
    std::size_t n = 0;
    while (n < text.size() && state == HeadState::Incomplete) {
      n = std::min<std::size_t>(n + 1 + dice() % (i % 40 + 1), text.size());
      EXPECT_EQ(reader.look(std::string_view(text).substr(0, n), head),
                state = parse_http_head(std::string_view(text).substr(0, n), whole))
          << i << ' ' << n;
    }
    ASSERT_EQ(state, HeadState::Complete);
    EXPECT_EQ(head.length, whole.length);
    EXPECT_EQ(head.start[1], "/");
    EXPECT_EQ(head.field("a"), "b");
  }
}

TEST(HttpHeadReader, LooksAtEachByteAFewTimes) {
  std::string text = "GET / HTTP/1.1\r\n";
  while (text.size() < kMostHttpHead) text += "a:\r\n";
  HttpHeadReader reader;
  int parsed = 0;
  for (std::size_t n = 0; n <= text.size(); ++n) {
    HttpHead head;
    head.length = 1;  // which parsing makes 0
    EXPECT_EQ(reader.look(std::string_view(text).substr(0, n), head), HeadState::Incomplete);
    parsed += head.length == 0 ? 1 : 0;
  }
  EXPECT_GT(parsed, 2);
  EXPECT_LT(parsed, 20);
  HttpHeadReader wrong;
  HttpHead head;
  EXPECT_EQ(wrong.look("\r", head), HeadState::Incomplete);
  EXPECT_FALSE(wrong.begun());
  EXPECT_EQ(wrong.look("\r\n\r\nGET\r\n", head), HeadState::Bad) << "its end need not come";
  EXPECT_TRUE(wrong.begun());
}

TEST(HttpAuthority, IsAHostAndPerhapsAPort) {
  for (const char* good :
       {"", "x", "a.example:80", "10.0.0.1", "[::1]", "[fd77::2]:8080", "a:", "fd77::2:80"}) {
    EXPECT_TRUE(is_http_authority(good)) << good;
  }
  for (const char* bad :
       {"a b", "a/", "a\x01", "a:b", "x:y:80", "[::1", "[]", "[::1]x", "u@h", "a?b", "a,b c"}) {
    EXPECT_FALSE(is_http_authority(bad)) << bad;
  }
}

TEST(HttpPath, IsEncodedWhereItHasTo) {
  EXPECT_EQ(percent_encoded("/a-b_c~d/e.f:g@h"), "/a-b_c~d/e.f:g@h");
  EXPECT_EQ(percent_encoded("a b\r\n\x1b%?#\xc3\xa4\"\\"), "a%20b%0D%0A%1B%25%3F%23%C3%A4%22%5C");
}

TEST(HttpHead, StaysWithinItsBytes) {
  std::mt19937 dice(7);
  const std::string letters = "GET / HTTP/1.1\r\n\n::,\t -x\0\x80";
  for (int i = 0; i < 20'000; ++i) {
    std::string text(dice() % 80, ' ');
    for (char& c : text) c = letters[dice() % letters.size()];
    HttpHead head;
    if (parse_http_head(text, head) != HeadState::Complete) continue;
    ASSERT_LE(head.length, text.size());
    for (const HttpField& f : head.fields) {
      ASSERT_GE(f.name.data(), text.data());
      ASSERT_LE(f.value.data() + f.value.size(), text.data() + text.size());
    }
  }
}

TEST(HttpRange, IsThatOfRfc9110) {
  const auto parse = [](std::string_view value, std::uint64_t size) {
    ByteRange range{};
    const RangeKind kind = parse_range(value, size, range);
    return std::tuple(kind, range.first, range.length);
  };
  const auto part = [](std::uint64_t first, std::uint64_t length) {
    return std::tuple(RangeKind::Part, first, length);
  };
  EXPECT_EQ(parse("bytes=0-499", 1000), part(0, 500));
  EXPECT_EQ(parse("bytes=500-", 1000), part(500, 500));
  EXPECT_EQ(parse("bytes=-1", 1000), part(999, 1));
  EXPECT_EQ(parse("bytes=-5000", 1000), part(0, 1000));
  EXPECT_EQ(parse("BYTES= 999-18446744073709551615", 1000), part(999, 1));
  for (const char* none : {"bytes=1000-", "bytes=-0", "bytes=1000-2000"}) {
    EXPECT_EQ(std::get<0>(parse(none, 1000)), RangeKind::Unsatisfiable) << none;
  }
  EXPECT_EQ(std::get<0>(parse("bytes=0-", 0)), RangeKind::Unsatisfiable);
  for (const char* whole : {"bytes=2-1", "bytes=a-", "bytes=0-1,3-4", "items=0-1", "bytes=-",
                            "bytes=", "bytes=0-18446744073709551616", "bytes=+1-2", ""}) {
    EXPECT_EQ(std::get<0>(parse(whole, 1000)), RangeKind::Whole) << whole;
  }
}

TEST(HttpDate, GoesThereAndBack) {
  EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_FALSE(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"));
  EXPECT_FALSE(parse_http_date(""));
}

TEST(HttpUrl, SaysWhatIsWrong) {
  const auto url = parse_http_url("http://[fd77::2]:8080/a/b?c#d");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "fd77::2");
  EXPECT_EQ(url->port, 8080);
  EXPECT_EQ(url->path, "/a/b?c");
  EXPECT_EQ(parse_http_url("http://h")->path, "/");
  EXPECT_EQ(parse_http_url("http://h?x")->path, "/?x");
  for (const char* bad : {"", "h/x", "https://h/", "http://", "http:///x", "http://h:0/",
                          "http://h:65536/", "http://h:x/", "http://[::1/", "http://[::1]x/",
                          "http://u@h/", "http://h/ x", "http://h/\r\nHost: y"}) {
    const auto refused = parse_http_url(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_FALSE(refused.error().message.empty());
  }
}

}  // namespace
}  // namespace lastack
