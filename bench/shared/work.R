# What the pipeline has R do: some tens of milliseconds a batch, in which R does
# not look up.
model <- lm(y ~ a + b, data.frame(a = 1:100, b = sqrt(1:100), y = log(1:100)))

score <- function(data) {
  data$a <- data$i %% 100
  data$b <- sqrt(data$a)
  data$score <- predict(model, data)
  data$text <- sprintf("%.3f", data$score)
  data
}
