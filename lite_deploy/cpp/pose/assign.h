// Who goes with whom: the assignment with the greatest sum.
#pragma once

#include <vector>

namespace pose {

struct Pair {
  int row, column;
};

// Pairs each row with a column (or each column with a row, if there are fewer) so that the sum of `value`,
// [rows, columns], is the greatest: shortest augmenting paths (Jonker and Volgenant 1987; for rectangles Crouse 2016).
// Of equal sums it takes the one that scipy.optimize.linear_sum_assignment takes. Pairs come by growing row.
std::vector<Pair> BestAssignment(const std::vector<double>& value, int rows, int columns);

}  // namespace pose
