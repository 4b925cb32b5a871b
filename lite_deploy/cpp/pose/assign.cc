#include "pose/assign.h"

#include <algorithm>
#include <cfloat>

namespace pose {
namespace {

constexpr int kNone = -1;

// The least total cost, with no more rows than columns. Rows join one at a time; each takes the shortest path over
// reduced costs to a free column and moves the rows on it.
class Assignment {
 public:
  Assignment(const std::vector<double>& cost, int rows, int columns)
      : cost_(cost),
        rows_(rows),
        columns_(columns),
        row_price_(rows, 0.0),
        column_price_(columns, 0.0),
        column_of_(rows, kNone),
        row_of_(columns, kNone) {
    for (int row = 0; row < rows; ++row) Add(row);
  }

  int column_of(int row) const { return column_of_[row]; }

 private:
  void Add(int added) {
    std::vector<double> shortest(columns_, DBL_MAX);
    std::vector<int> from(columns_, kNone), open(columns_);
    std::vector<bool> row_seen(rows_, false), column_seen(columns_, false);
    for (int i = 0; i < columns_; ++i) open[i] = columns_ - 1 - i;  // so that equal costs pair in order
    double length = 0;
    int row = added, end = kNone;
    while (end == kNone) {
      row_seen[row] = true;
      size_t nearest = 0;
      double lowest = DBL_MAX;
      for (size_t i = 0; i < open.size(); ++i) {
        const int column = open[i];
        const double path = length + cost_[static_cast<size_t>(row) * columns_ + column] - row_price_[row] -
                            column_price_[column];
        if (path < shortest[column]) {
          shortest[column] = path;
          from[column] = row;
        }
        // Of equally near columns a free one ends the search.
        if (shortest[column] < lowest || (shortest[column] == lowest && row_of_[column] == kNone)) {
          lowest = shortest[column];
          nearest = i;
        }
      }
      length = lowest;
      const int column = open[nearest];
      column_seen[column] = true;
      open[nearest] = open.back();
      open.pop_back();
      if (row_of_[column] == kNone) end = column;
      else row = row_of_[column];
    }
    row_price_[added] += length;
    for (int i = 0; i < rows_; ++i)
      if (row_seen[i] && i != added) row_price_[i] += length - shortest[column_of_[i]];
    for (int j = 0; j < columns_; ++j)
      if (column_seen[j]) column_price_[j] -= length - shortest[j];
    for (int column = end, moved = kNone; moved != added;) {
      moved = from[column];
      row_of_[column] = moved;
      std::swap(column_of_[moved], column);
    }
  }

  const std::vector<double>& cost_;
  int rows_, columns_;
  std::vector<double> row_price_, column_price_;
  std::vector<int> column_of_, row_of_;
};

}  // namespace

std::vector<Pair> BestAssignment(const std::vector<double>& value, int rows, int columns) {
  const bool turned = columns < rows;
  const int few = std::min(rows, columns), many = std::max(rows, columns);
  std::vector<double> cost(value.size());
  for (int i = 0; i < few; ++i)
    for (int j = 0; j < many; ++j) {
      const size_t at = turned ? static_cast<size_t>(j) * columns + i : static_cast<size_t>(i) * columns + j;
      cost[static_cast<size_t>(i) * many + j] = -value[at];
    }
  const Assignment assignment(cost, few, many);
  std::vector<Pair> pairs;
  for (int i = 0; i < few; ++i) {
    const int other = assignment.column_of(i);
    pairs.push_back(turned ? Pair{other, i} : Pair{i, other});
  }
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.row < b.row; });
  return pairs;
}

}  // namespace pose
