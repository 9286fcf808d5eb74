#include "kernel/connection_tracking.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "lab/unique_fd.h"

namespace lastack::incident {
namespace {

constexpr char kTable[] = "lastack";
constexpr char kChain[] = "look";

// nf_tables takes changes in batches only: a message that opens one, the changes, a message that ends it.
class Batch {
 public:
  Batch() { put_mark(NFNL_MSG_BATCH_BEGIN); }

  nlmsghdr* add(int type, int flags) {
    return put(NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_REQUEST | NLM_F_ACK | flags, NFPROTO_INET,
               0);
  }
  void done(const nlmsghdr* message) { used_ += message->nlmsg_len; }

  Result<void> commit() {
    put_mark(NFNL_MSG_BATCH_END);
    const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!fd) return tl::unexpected(system_error(errno, "cannot open a netfilter socket"));
    if (send(fd.get(), bytes_.data(), used_, 0) < 0) {
      return tl::unexpected(system_error(errno, "cannot send a batch to nf_tables"));
    }
    // Every change is acknowledged; a kernel that has nothing to say any more is taken for done.
    const timeval patience{1, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (int answers = 0; answers < changes_;) {
      std::array<char, 8192> answer;
      const ssize_t length = recv(fd.get(), answer.data(), answer.size(), 0);
      if (length < 0) return tl::unexpected(system_error(errno, "nf_tables does not answer"));
      int rest = static_cast<int>(length);
      const auto* reply = reinterpret_cast<const nlmsghdr*>(answer.data());
      for (; mnl_nlmsg_ok(reply, rest); reply = mnl_nlmsg_next(reply, &rest), ++answers) {
        if (reply->nlmsg_type != NLMSG_ERROR) continue;
        const auto* verdict = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply));
        if (verdict->error != 0) {
          return tl::unexpected(
              system_error(-verdict->error, "cannot add a rule that tracks connections"));
        }
      }
    }
    return {};
  }

 private:
  nlmsghdr* put(int type, int flags, std::uint8_t family, std::uint16_t resource) {
    nlmsghdr* message = mnl_nlmsg_put_header(bytes_.data() + used_);
    message->nlmsg_type = static_cast<std::uint16_t>(type);
    message->nlmsg_flags = static_cast<std::uint16_t>(flags);
    message->nlmsg_seq = ++sequence_;
    if ((flags & NLM_F_ACK) != 0) ++changes_;
    auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    header->res_id = htons(resource);
    return message;
  }
  void put_mark(int type) { done(put(type, NLM_F_REQUEST, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)); }

  alignas(nlmsghdr) std::array<char, 4096> bytes_{};
  std::size_t used_ = 0;
  std::uint32_t sequence_ = 0;
  int changes_ = 0;
};

}  // namespace

Result<void> start_connection_tracking() {
  Batch batch;
  nlmsghdr* table = batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE);
  mnl_attr_put_strz(table, NFTA_TABLE_NAME, kTable);
  batch.done(table);

  nlmsghdr* chain = batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  mnl_attr_put_strz(chain, NFTA_CHAIN_TABLE, kTable);
  mnl_attr_put_strz(chain, NFTA_CHAIN_NAME, kChain);
  mnl_attr_put_strz(chain, NFTA_CHAIN_TYPE, "filter");
  nlattr* hook = mnl_attr_nest_start(chain, NFTA_CHAIN_HOOK);
  mnl_attr_put_u32(chain, NFTA_HOOK_HOOKNUM, htonl(NF_INET_LOCAL_IN));
  mnl_attr_put_u32(chain, NFTA_HOOK_PRIORITY, htonl(0));
  mnl_attr_nest_end(chain, hook);
  batch.done(chain);

  nlmsghdr* rule = batch.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  mnl_attr_put_strz(rule, NFTA_RULE_TABLE, kTable);
  mnl_attr_put_strz(rule, NFTA_RULE_CHAIN, kChain);
  nlattr* expressions = mnl_attr_nest_start(rule, NFTA_RULE_EXPRESSIONS);
  nlattr* element = mnl_attr_nest_start(rule, NFTA_LIST_ELEM);
  mnl_attr_put_strz(rule, NFTA_EXPR_NAME, "ct");
  nlattr* data = mnl_attr_nest_start(rule, NFTA_EXPR_DATA);
  mnl_attr_put_u32(rule, NFTA_CT_DREG, htonl(NFT_REG_1));
  mnl_attr_put_u32(rule, NFTA_CT_KEY, htonl(NFT_CT_STATE));
  mnl_attr_nest_end(rule, data);
  mnl_attr_nest_end(rule, element);
  mnl_attr_nest_end(rule, expressions);
  batch.done(rule);
  return batch.commit();
}

}  // namespace lastack::incident
