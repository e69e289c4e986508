/* The contract's names that subscriptions are spoken of with: the facade's mapping for this module. */
#ifndef CCTGATE_UPSTREAM_SUBSCRIPTION_NAMES_H
#define CCTGATE_UPSTREAM_SUBSCRIPTION_NAMES_H

/* NotificationProducer */
#define NAME_CONSUMER_REFERENCE "ConsumerReference"
#define NAME_ADDRESS            "Address"
#define NAME_SUBSCRIPTION_ID    "SubscriptionId" /* also of a message */
#define NAME_TOPIC_EXPRESSION   "TopicExpression"
#define NAME_TOPIC              "NotificationTopic"
#define NAME_USE_NOTIFY         "UseNotify"
#define NAME_POLICY             "SubscriptionPolicy"
#define NAME_FIRST_END          "InitialTerminationTime"
#define NAME_REFERENCE          "SubscriptionReference"
#define NAME_END                "TerminationTime"
#define NAME_SERVER_TIME        "CurrentTime"
#define NAME_END_MINIMUM        "MinimumTime"
#define NAME_END_MAXIMUM        "MaximumTime"
#define NAME_PRODUCER           "NotificationProducer"
/* UserService */
#define NAME_ENDPOINT "ConsumerEndpoint"
#define NAME_REF      "SubscriptionRef"
/* a message */
#define NAME_PRODUCER_REFERENCE "ProducerReference"
#define NAME_MESSAGE            "Message"
#define NAME_SESSION_ID         "SessionId"
#define NAME_TIMESTAMP          "Timestamp"
#define NAME_SYSTEM_EVENT       "SystemEvent" /* of Message, and in it the event itself */
#define NAME_REMAINING          "remainingTimeInMillis"
/* faults */
#define FAULT_UNKNOWN          "ResourceUnknownFault"
#define FAULT_UNACCEPTABLE_END "UnacceptableTerminationTimeFault"

#endif
