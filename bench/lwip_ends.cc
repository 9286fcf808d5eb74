#include "lwip_ends.h"

#include <lwip/init.h>
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include <cstdlib>
#include <deque>
#include <utility>

namespace lastack::bench {
namespace {

// Two interfaces: what one sends the other receives.
netif client_side;
netif server_side;
std::deque<std::pair<netif*, pbuf*>> on_the_wire;  // who receives it
std::size_t in_time_wait = 0;

struct Cycle {
  bool client_read = false;
  bool server_closed = false;
};
Cycle now;

err_t send(netif* from, pbuf* packet, const ip4_addr_t*) {
  pbuf* copy = pbuf_alloc(PBUF_LINK, packet->tot_len, PBUF_RAM);
  if (copy == nullptr || pbuf_copy(copy, packet) != ERR_OK) std::abort();
  on_the_wire.emplace_back(from == &client_side ? &server_side : &client_side, copy);
  return ERR_OK;
}

err_t set_up(netif* n) {
  n->output = send;
  n->mtu = 1500;
  n->name[0] = 'm';
  n->name[1] = 'm';
  n->flags = NETIF_FLAG_LINK_UP;
  return ERR_OK;
}

void add(netif& side, u8_t number) {
  ip4_addr_t address, mask, none;
  IP4_ADDR(&address, 10, 0, number, 1);
  IP4_ADDR(&mask, 255, 255, 255, 0);
  IP4_ADDR(&none, 0, 0, 0, 0);
  if (netif_add(&side, &address, &mask, &none, nullptr, set_up, ip_input) == nullptr) std::abort();
  netif_set_up(&side);
}

void deliver() {
  while (!on_the_wire.empty()) {
    const auto [to, packet] = on_the_wire.front();
    on_the_wire.pop_front();
    if (to->input(packet, to) != ERR_OK) pbuf_free(packet);
  }
}

constexpr std::size_t kFirstPort = 1024;
constexpr char kByte = 'x';

err_t server_received(void*, tcp_pcb* pcb, pbuf* data, err_t) {
  if (data == nullptr) {
    now.server_closed = true;
    return tcp_close(pcb);
  }
  tcp_recved(pcb, data->tot_len);
  pbuf_free(data);
  return tcp_write(pcb, &kByte, 1, TCP_WRITE_FLAG_COPY);
}

err_t accepted(void*, tcp_pcb* pcb, err_t) {
  tcp_recv(pcb, server_received);
  return ERR_OK;
}

err_t client_received(void*, tcp_pcb* pcb, pbuf* data, err_t) {
  if (data == nullptr) return ERR_OK;
  tcp_recved(pcb, data->tot_len);
  pbuf_free(data);
  now.client_read = true;
  tcp_recv(pcb, nullptr);
  return tcp_close(pcb);
}

err_t connected(void*, tcp_pcb* pcb, err_t) {
  return tcp_write(pcb, &kByte, 1, TCP_WRITE_FLAG_COPY);
}

}  // namespace

LwipEnds::LwipEnds() {
  lwip_init();
  add(client_side, 1);
  add(server_side, 2);
  tcp_pcb* listener = tcp_new();
  if (listener == nullptr || tcp_bind(listener, IP_ADDR_ANY, 80) != ERR_OK) std::abort();
  tcp_bind_netif(listener, &server_side);
  listener = tcp_listen(listener);
  tcp_accept(listener, accepted);
}

bool LwipEnds::cycle(Ports ports) {
  now = {};
  tcp_pcb* pcb = tcp_new();
  if (pcb == nullptr) return false;
  if (ports == Ports::Bound) {
    // Those of the records that are kept are below it.
    if (tcp_bind(pcb, IP_ADDR_ANY, static_cast<u16_t>(kFirstPort + in_time_wait)) != ERR_OK) {
      tcp_abort(pcb);
      return false;
    }
  }
  // Else a packet to an address of its own would take the way through its thread.
  tcp_bind_netif(pcb, &client_side);
  tcp_recv(pcb, client_received);
  ip_addr_t to;
  ip_addr_copy_from_ip4(to, *netif_ip4_addr(&server_side));
  if (tcp_connect(pcb, &to, 80, connected) != ERR_OK) {
    tcp_abort(pcb);
    return false;
  }
  deliver();
  if (!now.client_read || !now.server_closed || pcb->state != TIME_WAIT) return false;
  ++in_time_wait;
  return true;
}

std::size_t LwipEnds::time_waits() const {
  return in_time_wait;
}

void LwipEnds::keep(std::size_t most) {
  while (in_time_wait > most) {
    tcp_abort(tcp_tw_pcbs);
    --in_time_wait;
  }
}

}  // namespace lastack::bench
