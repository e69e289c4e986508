#include "load.h"

#include <stddef.h>
#include <string.h>

#include "agents.h"
#include "buf.h"
#include "calls.h"
#include "channel.h"
#include "events.h"
#include "loop.h"
#include "notify.h"
#include "options.h"
#include "traffic.h"

enum { TICK_MS = 5, STEPS_PER_TICK = 64, RING = 256 };

struct load {
    struct loop_timer timer; /* first: callbacks cast back */
    void (*step)(struct load *load);
    bool by_events; /* what `amount` counts: events, or steps */
    struct load_order order;
    bool running;
    uint64_t done; /* events or steps */
    uint64_t events;
    uint64_t started_ms;
};

static struct {
    bool ready, calls;
    size_t next;
    size_t slot;
    char ring[RING][GUID_BYTES];
} burst;

/* --- bursts --- */

static void toggle_ready(struct agent *agent)
{
    if (!agent->logged_in)
        agent_login(agent, agent->terminals[0], true);
    else
        agent_set_ready(agent, !agent->ready);
}

/* A call comes to the next agent and is answered; the one that came RING calls ago ends. */
static void come_and_go(struct agent *agent)
{
    char *id = burst.ring[burst.slot++ % RING];
    struct contact *old = world_contact(id);
    if (old != NULL)
        contact_end(old, "DEFAULT");
    struct contact *contact = call_incoming(world_dial("+35391200300"), agent->position);
    memcpy(id, contact->id, GUID_BYTES);
    struct termconn *ringing = contact_termconn_at(contact, agent->terminals[0]);
    if (ringing != NULL)
        call_answer(ringing, "DEFAULT");
}

static void burst_step(struct load *load)
{
    (void)load;
    struct agent *agent = &world.agents[burst.next % world.agent_count];
    bool call = burst.calls && (!burst.ready || burst.next % 4 == 0);
    burst.next++;
    if (call)
        come_and_go(agent);
    else
        toggle_ready(agent);
}

static void traffic_load_step(struct load *load)
{
    (void)load;
    traffic_step();
}

static void tick(struct loop_timer *timer);

struct load load_burst = {.timer = {.on_timer = tick}, .step = burst_step, .by_events = true};
struct load load_traffic = {.timer = {.on_timer = tick}, .step = traffic_load_step};

/* --- pace --- */

static bool due(const struct load *load)
{
    if (load->done >= load->order.amount || channels_longest_queue() > options.notify_queue / 2)
        return false;
    uint64_t elapsed = loop_now_ms() - load->started_ms;
    return load->order.per_second == 0 || load->done * 1000 <= elapsed * load->order.per_second;
}

static void step(struct load *load)
{
    uint64_t before = sim_event_total();
    load->step(load);
    notify_settle();
    uint64_t events = sim_event_total() - before;
    load->events += events;
    load->done += load->by_events ? events : 1;
}

static void tick(struct loop_timer *timer)
{
    struct load *load = (struct load *)timer;
    int steps = 0;
    while (steps < STEPS_PER_TICK && due(load)) {
        step(load);
        steps++;
    }
    if (load->done >= load->order.amount)
        load->running = false;
    else
        loop_timer_set(timer, steps == STEPS_PER_TICK ? 0 : TICK_MS);
}

static bool set_kind(const char *kind)
{
    bool mixed = strcmp(kind, "mixed") == 0;
    bool ready = mixed || strcmp(kind, "ready") == 0;
    bool calls = mixed || strcmp(kind, "calls") == 0;
    burst.ready = ready;
    burst.calls = calls;
    return ready || calls;
}

bool load_start(struct load *load, const struct load_order *order)
{
    if (world.agent_count == 0 || (load == &load_burst && !set_kind(order->kind)))
        return false;
    if (load == &load_traffic)
        traffic_begin(order->seed, strcmp(order->kind, "everything") == 0);
    load->order = *order;
    load->running = true;
    load->done = load->events = 0;
    load->started_ms = loop_now_ms();
    loop_timer_set(&load->timer, 0);
    return true;
}

void load_stop(void)
{
    load_burst.running = load_traffic.running = false;
    loop_timer_clear(&load_burst.timer);
    loop_timer_clear(&load_traffic.timer);
}

static bool quiet(void)
{
    return !load_burst.running && !load_traffic.running && notify_fresh() == 0 &&
           channels_queued() == 0 && channels_in_flight() == 0;
}

json_t *load_json(const struct load *load)
{
    json_t *o = json_object();
    json_object_set_new(o, "running", json_boolean(load->running));
    json_object_set_new(o, "amount", json_integer((json_int_t)load->order.amount));
    json_object_set_new(o, "done", json_integer((json_int_t)load->done));
    json_object_set_new(o, "events", json_integer((json_int_t)load->events));
    json_object_set_new(o, "queued", json_integer((json_int_t)channels_queued()));
    json_object_set_new(o, "inFlight", json_integer((json_int_t)channels_in_flight()));
    json_object_set_new(o, "quiet", json_boolean(quiet()));
    if (load == &load_traffic)
        json_object_set_new(o, "actions", traffic_json());
    return o;
}
