// Where a pixel lies on another grid: kernels/resize.py, places. Every operation is rounded alone,
// and in that order, so that the results are equal to the last bit.
struct Place {
    int first, second;
    float weight;
};

DEVICE Place place_of(int pixel, int source, int made) {
    double at = (pixel + 0.5) * ((double)source / (double)made) - 0.5;
    double before = floor(at);
    Place place;
    place.first = before < 0.0 ? 0 : before > source - 1 ? source - 1 : (int)before;
    place.second = place.first < source - 1 ? place.first + 1 : place.first;
    bool inside = at >= 0.0 && place.first < place.second;
    place.weight = inside ? (float)(at - before) : 0.0f;
    return place;
}

DEVICE float between(float from, float to, float weight) {
    return from + weight * (to - from);
}
