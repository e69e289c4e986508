/* RoutePointAddressService and RoutePointConnectionService. */
#include <string.h>

#include "agents.h"
#include "calls.h"
#include "ops_shared.h"

static struct address *route_point(struct rq *rq)
{
    struct address *address = rq_address(rq, "routePointAddress");
    if (address != NULL && address->type != AT_ROUTE_POINT) {
        rq_fail(rq, "Address '%s' is not a route point", address->name);
        return NULL;
    }
    return address;
}

static int control(struct rq *rq)
{
    struct address *address = route_point(rq);
    if (address == NULL)
        return -1;
    if (address->controlled)
        return rq_fail(rq, "Route point '%s' is controlled already", address->name);
    address_set_controlled(address, true);
    return 0;
}

static int release_control(struct rq *rq)
{
    struct address *address = route_point(rq);
    if (address == NULL)
        return -1;
    if (!address->controlled)
        return rq_fail(rq, "Route point '%s' is not controlled", address->name);
    address_set_controlled(address, false);
    return 0;
}

static int is_controlled(struct rq *rq)
{
    struct address *address = route_point(rq);
    if (address == NULL)
        return -1;
    put_bool(rq, "r:response", address->controlled);
    return 0;
}

static struct connection *waiting(struct rq *rq, const char *name, enum route_point_cap cap)
{
    struct connection *c = rq_connection(rq, name);
    if (c == NULL || !rq_can(rq, caps_of_route_point(rq->user, c), &route_point_caps, cap))
        return NULL;
    return c;
}

static int get_capabilities(struct rq *rq)
{
    struct connection *c = rq_connection(rq, "connection");
    if (c == NULL)
        return -1;
    if (c->address->type != AT_ROUTE_POINT)
        return rq_fail(rq, "The connection is not at a route point");
    put_caps(rq, "r:connectionCapabilities", &route_point_caps, caps_of_route_point(rq->user, c));
    return 0;
}

static int give_treatment(struct rq *rq)
{
    struct connection *c = waiting(rq, "connection", RPC_MUSIC);
    if (c == NULL)
        return -1;
    put_connection(rq, "r:connection", c);
    return 0;
}

static int route(struct rq *rq)
{
    struct connection *c = waiting(rq, "routePointConnection", RPC_ROUTE);
    struct address *to = c != NULL ? rq_dialled(rq, "destinationAddress") : NULL;
    if (to == NULL)
        return -1;
    if (to == c->address)
        return rq_fail(rq, "A call cannot be routed to where it is");
    put_connection(rq, "r:connection", call_route(c, to));
    return 0;
}

static int retrieve(struct rq *rq)
{
    struct connection *c = waiting(rq, "routePointConnection", RPC_RETRIEVE);
    struct address *to = c != NULL ? rq_address(rq, "address") : NULL;
    if (to == NULL)
        return -1;
    if (to == c->address)
        return rq_fail(rq, "A call cannot be retrieved to where it is");
    call_route(c, to);
    return 0;
}

#define RPA "RoutePointAddressService"
#define RPC "RoutePointConnectionService"

const struct op_row ops_route_point[] = {{RPA, "Control", control},
                                         {RPA, "GetVersion", do_version},
                                         {RPA, "IsControlled", is_controlled},
                                         {RPA, "ReleaseControl", release_control},
                                         {RPC, "GetCapabilities", get_capabilities},
                                         {RPC, "GetVersion", do_version},
                                         {RPC, "GiveMediaTreatment", give_treatment},
                                         {RPC, "Route", route},
                                         {RPC, "RoutePointRetrieve", retrieve},
                                         {NULL, NULL, NULL}};
