//needs call begin
#define CALL(process, ...) ((void)(process), drain_lru(), perform((const long[7]){ __VA_ARGS__ }))
