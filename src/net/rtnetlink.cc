#include "net/rtnetlink.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>

namespace lastack {
namespace {

// Room for the largest message built here, and for the kernel's answer, which repeats it.
struct alignas(nlmsghdr) Buffer {
  std::array<char, 1024> bytes{};
};

unsigned index_of(const std::string& link) {
  return if_nametoindex(link.c_str());
}

Error no_such_link(const std::string& link) {
  return system_error(errno, "no network link named " + link);
}

void put_address(nlmsghdr* message, std::uint16_t type, const IpAddress& address) {
  const auto* bytes = address.bytes().data();
  if (address.is_v4()) {
    mnl_attr_put(message, type, 4, bytes + 12);
  } else {
    mnl_attr_put(message, type, 16, bytes);
  }
}

}  // namespace

Result<Rtnetlink> Rtnetlink::open() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return tl::unexpected(system_error(errno, "cannot open an rtnetlink socket"));
  return Rtnetlink(std::move(socket));
}

Result<void> Rtnetlink::transact(void* raw, const std::string& what) {
  auto* message = static_cast<nlmsghdr*>(raw);
  message->nlmsg_flags =
      static_cast<std::uint16_t>(message->nlmsg_flags | NLM_F_REQUEST | NLM_F_ACK);
  message->nlmsg_seq = ++sequence_;
  if (send(socket_.get(), message, message->nlmsg_len, 0) < 0) {
    return tl::unexpected(system_error(errno, what));
  }
  Buffer answer;
  const ssize_t length = recv(socket_.get(), answer.bytes.data(), answer.bytes.size(), 0);
  if (length < 0) return tl::unexpected(system_error(errno, what));
  const auto* reply = reinterpret_cast<const nlmsghdr*>(answer.bytes.data());
  if (length < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(int)) ||
      reply->nlmsg_type != NLMSG_ERROR || reply->nlmsg_seq != sequence_) {
    return failure(what + ": rtnetlink gave no answer that can be read");
  }
  const auto* verdict = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply));
  if (verdict->error != 0) return tl::unexpected(system_error(-verdict->error, what));
  return {};
}

Result<void> Rtnetlink::set_link_flag(const std::string& link, bool up) {
  const unsigned index = index_of(link);
  if (index == 0) return tl::unexpected(no_such_link(link));
  Buffer buffer;
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.bytes.data());
  message->nlmsg_type = RTM_NEWLINK;
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  info->ifi_family = AF_UNSPEC;
  info->ifi_index = static_cast<int>(index);
  info->ifi_change = IFF_UP;
  info->ifi_flags = up ? unsigned{IFF_UP} : 0U;
  return transact(message, (up ? "cannot bring up " : "cannot take down ") + link);
}

Result<void> Rtnetlink::set_link_up(const std::string& link) {
  return set_link_flag(link, true);
}

Result<void> Rtnetlink::set_link_down(const std::string& link) {
  return set_link_flag(link, false);
}

Result<void> Rtnetlink::delete_link(const std::string& link) {
  const unsigned index = index_of(link);
  if (index == 0) return tl::unexpected(no_such_link(link));
  Buffer buffer;
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.bytes.data());
  message->nlmsg_type = RTM_DELLINK;
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  info->ifi_family = AF_UNSPEC;
  info->ifi_index = static_cast<int>(index);
  return transact(message, "cannot delete " + link);
}

Result<void> Rtnetlink::add_veth(const VethEnd& here, const VethEnd& there, pid_t pid) {
  Buffer buffer;
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.bytes.data());
  message->nlmsg_type = RTM_NEWLINK;
  message->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, here.name.c_str());
  mnl_attr_put(message, IFLA_ADDRESS, here.mac.size(), here.mac.data());
  nlattr* kind = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  nlattr* other = mnl_attr_nest_start(message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
  mnl_attr_put_strz(message, IFLA_IFNAME, there.name.c_str());
  mnl_attr_put(message, IFLA_ADDRESS, there.mac.size(), there.mac.data());
  mnl_attr_put_u32(message, IFLA_NET_NS_PID, static_cast<std::uint32_t>(pid));
  mnl_attr_nest_end(message, other);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, kind);
  return transact(message, "cannot add the pair of links " + here.name + " and " + there.name);
}

Result<void> Rtnetlink::set_neighbour(const std::string& link, const IpAddress& address,
                                      const Mac& mac) {
  const unsigned index = index_of(link);
  if (index == 0) return tl::unexpected(no_such_link(link));
  Buffer buffer;
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.bytes.data());
  message->nlmsg_type = RTM_NEWNEIGH;
  message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
  auto* info = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ndmsg)));
  info->ndm_family = address.is_v4() ? AF_INET : AF_INET6;
  info->ndm_ifindex = static_cast<int>(index);
  info->ndm_state = NUD_PERMANENT;
  put_address(message, NDA_DST, address);
  mnl_attr_put(message, NDA_LLADDR, mac.size(), mac.data());
  return transact(message, "cannot set the neighbour " + address.to_string() + " on " + link);
}

Result<void> Rtnetlink::change_address(std::uint16_t type, std::uint16_t flags,
                                       const std::string& link, const IpAddress& address,
                                       unsigned prefix) {
  const unsigned index = index_of(link);
  if (index == 0) return tl::unexpected(no_such_link(link));
  Buffer buffer;
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.bytes.data());
  message->nlmsg_type = type;
  message->nlmsg_flags = flags;
  auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
  info->ifa_family = address.is_v4() ? AF_INET : AF_INET6;
  info->ifa_prefixlen = static_cast<std::uint8_t>(prefix);
  // Nobody else is there to have the same address, and a tentative one cannot be bound for a second.
  info->ifa_flags = IFA_F_NODAD;
  info->ifa_index = index;
  put_address(message, IFA_LOCAL, address);
  put_address(message, IFA_ADDRESS, address);
  const char* verb = type == RTM_NEWADDR ? "cannot give " : "cannot take from ";
  return transact(message, verb + link + " the address " + address.to_string());
}

Result<void> Rtnetlink::add_address(const std::string& link, const IpAddress& address,
                                    unsigned prefix) {
  return change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, link, address, prefix);
}

Result<void> Rtnetlink::delete_address(const std::string& link, const IpAddress& address,
                                       unsigned prefix) {
  return change_address(RTM_DELADDR, 0, link, address, prefix);
}

Result<void> Rtnetlink::add_route(const IpAddress& network, unsigned prefix,
                                  const std::string& link) {
  const unsigned index = index_of(link);
  if (index == 0) return tl::unexpected(no_such_link(link));
  Buffer buffer;
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.bytes.data());
  message->nlmsg_type = RTM_NEWROUTE;
  message->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
  auto* info = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  info->rtm_family = network.is_v4() ? AF_INET : AF_INET6;
  info->rtm_dst_len = static_cast<std::uint8_t>(prefix);
  info->rtm_table = RT_TABLE_MAIN;
  info->rtm_protocol = RTPROT_STATIC;
  info->rtm_scope = network.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  info->rtm_type = RTN_UNICAST;
  put_address(message, RTA_DST, network);
  mnl_attr_put_u32(message, RTA_OIF, index);
  return transact(message, "cannot add a route to " + network.to_string() + " over " + link);
}

Result<bool> Rtnetlink::is_local(const IpAddress& address) {
  const std::string what = "cannot ask for the route to " + address.to_string();
  Buffer buffer;
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.bytes.data());
  message->nlmsg_type = RTM_GETROUTE;
  message->nlmsg_flags = NLM_F_REQUEST;
  message->nlmsg_seq = ++sequence_;
  auto* info = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  info->rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  info->rtm_dst_len = static_cast<std::uint8_t>(full_prefix(address));
  put_address(message, RTA_DST, address);
  if (send(socket_.get(), message, message->nlmsg_len, 0) < 0) {
    return tl::unexpected(system_error(errno, what));
  }
  Buffer answer;
  const ssize_t length = recv(socket_.get(), answer.bytes.data(), answer.bytes.size(), 0);
  if (length < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(rtmsg))) return failure(what);
  const auto* reply = reinterpret_cast<const nlmsghdr*>(answer.bytes.data());
  // No route at all is an answer as well.
  if (reply->nlmsg_type != RTM_NEWROUTE) return false;
  return static_cast<const rtmsg*>(mnl_nlmsg_get_payload(reply))->rtm_type == RTN_LOCAL;
}

}  // namespace lastack
