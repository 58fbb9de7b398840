"""The colours, and what has which."""

# The palette of Okabe and Ito, which colour-blind people can tell apart.
BLACK, GREY = "#555555", "#999999"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

GOOD, WARNING, BAD, UNKNOWN = GREEN, ORANGE, VERMILION, PURPLE
PRODUCTS = {
    "devin": BLUE,
    "cascade": ORANGE,
    "terminal": GREEN,
    "review": PURPLE,
    "unknown": GREY,
}
STATUSES = {
    "new": SKY,
    "claimed": SKY,
    "creating": SKY,
    "resuming": SKY,
    "running": BLUE,
    "exit": GREEN,
    "suspended": ORANGE,
    "error": VERMILION,
}
DETAILS = {
    "working": BLUE,
    "finished": GREEN,
    "waiting_for_user": YELLOW,
    "waiting_for_approval": YELLOW,
    "inactivity": GREY,
    "user_request": GREY,
    "usage_limit_exceeded": ORANGE,
    "org_usage_limit_exceeded": ORANGE,
    "total_session_limit_exceeded": ORANGE,
    "out_of_credits": ORANGE,
    "out_of_quota": ORANGE,
    "no_quota_allocation": ORANGE,
    "payment_declined": VERMILION,
    "error": VERMILION,
}
