"""The colours, and what has which.

The hues are those of Okabe and Ito, which colour-blind people can tell apart, as dark or as bright
as lines, bars and large figures need to stand out (3:1) on Grafana's dark and its light panels
alike. No colour keeps 4.5:1 on both, which small text needs: that is Grafana's own text colour, or
white on one of the fills.
"""

BLUE, AMBER, GREEN, VERMILION = "#0072B2", "#C27A00", "#009E73", "#D55E00"
PURPLE, SKY, GREY = "#B5638F", "#3C8DBC", "#858585"
GREEN_FILL, AMBER_FILL, VERMILION_FILL = "#00704F", "#8A5600", "#A84A00"
PURPLE_FILL, BLUE_FILL, GREY_FILL = "#8F4A6E", "#0072B2", "#5C6166"
TEXT, NONE = "text", "transparent"

GOOD, WARNING, BAD = GREEN, AMBER, VERMILION
GOOD_FILL, WARNING_FILL, BAD_FILL = GREEN_FILL, AMBER_FILL, VERMILION_FILL
UNKNOWN_FILL, NEUTRAL_FILL = PURPLE_FILL, GREY_FILL
PRODUCTS = {
    "devin": BLUE,
    "cascade": AMBER,
    "terminal": GREEN,
    "review": PURPLE,
    "unknown": GREY,
}
SOURCES = {"devin": BLUE, "devin_v2": GREY, "aione": AMBER}
STATUSES = {
    "new": SKY,
    "claimed": SKY,
    "creating": SKY,
    "resuming": SKY,
    "running": BLUE,
    "exit": GREEN,
    "suspended": AMBER,
    "error": VERMILION,
}
STATUS_FILLS = {
    "new": NONE,
    "claimed": NONE,
    "creating": NONE,
    "resuming": NONE,
    "running": NONE,
    "exit": NONE,
    "suspended": AMBER_FILL,
    "error": VERMILION_FILL,
}
"""Only what somebody may have to do something about is filled."""
DETAILS = {
    "working": NONE,
    "finished": NONE,
    "waiting_for_user": PURPLE_FILL,
    "waiting_for_approval": PURPLE_FILL,
    "inactivity": NONE,
    "user_request": NONE,
    "usage_limit_exceeded": AMBER_FILL,
    "org_usage_limit_exceeded": AMBER_FILL,
    "total_session_limit_exceeded": AMBER_FILL,
    "user_usage_limit_exceeded": AMBER_FILL,
    "contract_expired": VERMILION_FILL,
    "out_of_credits": AMBER_FILL,
    "out_of_quota": AMBER_FILL,
    "no_quota_allocation": AMBER_FILL,
    "payment_declined": VERMILION_FILL,
    "error": VERMILION_FILL,
}
SEVERITIES = {"critical": VERMILION_FILL, "warning": AMBER_FILL, "info": BLUE_FILL}
