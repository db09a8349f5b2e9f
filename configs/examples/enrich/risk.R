# The risk of an order: large amounts of customers that are new to us.
risk <- function(orders) {
  known <- orders$since < as.Date("2024-01-01")
  orders$risk <- plogis(orders$amount / 100 - ifelse(known, 4, 2))
  orders
}
