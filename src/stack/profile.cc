#include "stack/profile.h"

namespace lastack {
namespace {

std::string yes(bool b) {
  return b ? "yes" : "no";
}
std::string in_seconds(Duration d) {
  return std::to_string(d / 1s) + " s";
}

std::string syn_answer(const ProfileRules& r) {
  switch (r.tcp.syn_answer) {
    case SynAnswer::Challenge:
      return "a challenge ACK";
    case SynAnswer::ByWindow:
      return "in the window RST and CLOSED, else an ACK";
    case SynAnswer::Ignore:
      return "nothing";
    case SynAnswer::Reset:
      return "RST and CLOSED";
  }
  return "";
}

// What meets a record in TIME_WAIT, asked of the rules themselves.
std::string verdict(const ProfileRules& r, const SegmentSummary& segment) {
  timewait::Numbers record{.rcv_nxt = SeqNum(1000), .snd_nxt = SeqNum(5000), .ts_recent = {}};
  const timewait::Judgement j =
      timewait::judge_time_wait(record, segment, {.profile = r.time_wait});
  std::string text;
  switch (j.action) {
    case timewait::Judgement::Action::Drop:
      text = "nothing";
      break;
    case timewait::Judgement::Action::Ack:
      text = "ACK";
      break;
    case timewait::Judgement::Action::End:
      text = "ends it";
      break;
    case timewait::Judgement::Action::Reset:
      text = "RST, ends it";
      break;
    case timewait::Judgement::Action::Reopen:
      text = "a new connection, if a listener takes it";
      break;
    case timewait::Judgement::Action::EnterTimeWait:
      text = "TIME_WAIT";
      break;
  }
  if (j.rearm) text += ", 2 MSL again";
  return text;
}

constexpr ProfileRow kRows[] = {
    {"maximum segment lifetime, MSL; TIME_WAIT is twice as long (`HostOptions::msl`)",
     "RFC 9293, 3.4.2; Linux: TCP_TIMEWAIT_LEN",
     [](const ProfileRules& r) { return in_seconds(r.msl); }},
    {"initial sequence numbers go on by one every", "RFC 9293, 3.4.1; Linux: seq_scale",
     [](const ProfileRules& r) -> std::string {
       return r.isn_tick < 1us ? std::to_string(r.isn_tick / 1ns) + " ns"
                               : std::to_string(r.isn_tick / 1us) + " us";
     }},
    {"a RST in the window that is not exactly the next number", "RFC 5961, 3; RFC 793, 3.4",
     [](const ProfileRules& r) -> std::string {
       return r.tcp.rfc5961 ? "a challenge ACK" : "ends the connection";
     }},
    {"a SYN for a connection that is there (`HostOptions::syn_answer`)",
     "RFC 5961, 4; RFC 793, 3.9; claim A5", syn_answer},
    {"an ACK older than the largest window is challenged", "RFC 5961, 5.2",
     [](const ProfileRules& r) { return yes(r.tcp.ack_range_check); }},
    {"close() with unread data sends a RST", "RFC 9293, SHLD-3; RFC 2525, 2.17",
     [](const ProfileRules& r) { return yes(r.tcp.reset_on_unread); }},
    {"data that arrives after close() draws a RST", "RFC 9293, SHLD-3",
     [](const ProfileRules& r) { return yes(r.tcp.reset_on_data_after_close); }},
    {"a closed socket leaves FIN_WAIT_2 after `tcp_fin_timeout`", "Linux; the RFCs wait for ever",
     [](const ProfileRules& r) { return yes(r.tcp.fin_wait_2_limit); }},
    {"hard ICMP errors end a connection that is established",
     "RFC 9293, SHLD-26; RFC 5461 tells why Linux does not",
     [](const ProfileRules& r) { return yes(r.tcp.icmp_hard_aborts); }},
    {"soft ICMP errors end a connection that is opening", "RFC 5461, 4; against RFC 9293, MUST-56",
     [](const ProfileRules& r) { return yes(r.tcp.icmp_soft_ends_opening); }},
    {"a SYN that drew a strange ACK goes again a few milliseconds after our RST",
     "Linux: tcp_rcv_synsent_state_process",
     [](const ProfileRules& r) { return yes(r.tcp.quick_syn_again); }},
    {"R2 of a SYN: `tcp_syn_retries`, where not set", "RFC 9293, MUST-23: at least 3 minutes",
     [](const ProfileRules& r) { return std::to_string(r.syn_retries); }},
    {"R2 of a SYN,ACK: `tcp_synack_retries`, where not set",
     "RFC 9293, MUST-23: at least 3 minutes",
     [](const ProfileRules& r) { return std::to_string(r.synack_retries); }},
    {"timestamps, where not set", "RFC 7323",
     [](const ProfileRules& r) { return yes(r.timestamps); }},
    {"window scaling, where not set", "RFC 7323",
     [](const ProfileRules& r) { return yes(r.window_scaling); }},
    {"selective acknowledgement, where not set", "RFC 2018",
     [](const ProfileRules& r) { return yes(r.sack); }},
    {"TIME_WAIT: the FIN again", "RFC 9293, 3.10.7.4",
     [](const ProfileRules& r) {
       return verdict(r, {.seq = SeqNum(999), .ack = SeqNum(5000), .fin = true, .ack_flag = true});
     }},
    {"TIME_WAIT: an empty ACK with the next number", "linux-facts 12",
     [](const ProfileRules& r) {
       return verdict(r, {.seq = SeqNum(1000), .ack = SeqNum(5000), .ack_flag = true});
     }},
    {"TIME_WAIT: another ACK", "RFC 9293, 3.10.7.4",
     [](const ProfileRules& r) {
       return verdict(r, {.seq = SeqNum(900), .ack = SeqNum(5000), .ack_flag = true});
     }},
    {"TIME_WAIT: a RST with the next number, `tcp_rfc1337` off", "RFC 1337",
     [](const ProfileRules& r) { return verdict(r, {.seq = SeqNum(1000), .rst = true}); }},
    {"TIME_WAIT: a SYN beyond what was received", "RFC 9293, MAY-2",
     [](const ProfileRules& r) { return verdict(r, {.seq = SeqNum(70000), .syn = true}); }},
    {"TIME_WAIT: a SYN with exactly the next number", "RFC 793, 3.9",
     [](const ProfileRules& r) { return verdict(r, {.seq = SeqNum(1000), .syn = true}); }},
    {"TIME_WAIT: a SYN with an older number", "RFC 6191, 2",
     [](const ProfileRules& r) { return verdict(r, {.seq = SeqNum(500), .syn = true}); }},
};

}  // namespace

ProfileRules profile_rules(Profile profile) {
  ProfileRules r;
  switch (profile) {
    case Profile::Linux:
      break;
    case Profile::Rfc9293:
      r.tcp.ack_range_by_bytes = false;
      r.tcp.fin_wait_2_limit = false;
      r.tcp.icmp_hard_aborts = true;
      r.tcp.icmp_soft_ends_opening = false;
      r.tcp.quick_syn_again = false;
      r.time_wait = timewait::Profile::Rfc9293;
      r.msl = 120s;
      r.isn_tick = 4us;
      r.syn_retries = 8;  // with the four linear ones: 373 s
      r.synack_retries = 7;
      break;
    case Profile::Rfc793:
      r.tcp = {.rfc5961 = false,
               .syn_answer = SynAnswer::ByWindow,
               .ack_range_check = false,
               .ack_range_by_bytes = false,
               .reset_on_unread = false,
               .fin_wait_2_limit = false,
               .reset_on_data_after_close = false,
               .icmp_hard_aborts = true,
               .icmp_soft_ends_opening = false,
               .quick_syn_again = false};
      r.time_wait = timewait::Profile::Rfc793;
      r.msl = 120s;
      r.isn_tick = 4us;
      r.timestamps = r.window_scaling = r.sack = false;
      break;
  }
  return r;
}

std::span<const ProfileRow> profile_rows() {
  return kRows;
}

}  // namespace lastack
