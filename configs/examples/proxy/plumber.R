# An API about delays of flights. Any plumber serves it; rpipe serves it by many
# R processes:
#
#   rpipe proxy plumber.R
#
# and, with predictions in batches and a pipeline beside it:
#
#   rpipe proxy --config proxy.yaml
source("model.R")
airlines <- read.csv("data/airlines.csv")

#* @apiTitle Delays of flights from New York

#* What the API knows
#* @get /airlines
function() {
  airlines
}

#* The delay on arrival that is expected of one flight
#* @param carrier:str The airline's code, such as UA
#* @param origin:str EWR, JFK or LGA
#* @param hour:int Hour of the departure
#* @param distance:dbl Miles
#* @param dep_delay:dbl Minutes that it left late
#* @get /delay
#* @serializer unboxedJSON
function(res, carrier, origin, hour, distance, dep_delay = 0) {
  flight <- data.frame(
    carrier = carrier, origin = origin, hour = as.integer(hour),
    distance = as.numeric(distance), dep_delay = as.numeric(dep_delay)
  )
  minutes <- predict_delay(flight)$predicted
  if (is.na(minutes)) {
    res$status <- 404
    return(list(error = "no such flight: /airlines has the airlines, hours are 5 to 23"))
  }
  list(carrier = carrier, minutes = round(minutes, 1))
}

#* Delays of an airline by hour
#* @param carrier The airline's code
#* @get /delays/<carrier>
#* @serializer png list(width = 700, height = 400)
function(carrier) {
  of <- flights[flights$carrier == carrier, ]
  if (nrow(of) == 0) {
    stop("there is no airline ", carrier)
  }
  boxplot(arr_delay ~ hour, of,
    outline = FALSE, col = "lightsteelblue",
    main = carrier, xlab = "hour of departure", ylab = "minutes late on arrival"
  )
}

#* Who answers: one of several R processes
#* @get /who
#* @serializer unboxedJSON
function() {
  list(pid = Sys.getpid())
}
