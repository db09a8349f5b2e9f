source("model.R")

#* @serializer unboxedJSON
#* @post /plain
function(req) {
  data.frame(mpg = predict_mpg(as.data.frame(req$body)))
}

#* @get /ready
function() "yes"
