# gnuplot -e "data='...'; svg='...'" plot.gp - CPU time per event as a multiple of the limit.
set terminal svg size 760,380 font "sans-serif,13" background "white"
set output svg
set title "CPU time per event, as a multiple of decrypting alone (log scale)"
set style data histograms
set style histogram clustered gap 1.2
set style fill solid 0.9 noborder
set boxwidth 0.9
set logscale y
set yrange [0.7:*]
set grid ytics linecolor rgb "#dddddd"
set border 3
set tics nomirror
set key top left
at(column) = (column < 10 ? sprintf("%.1f", column) : sprintf("%.0f", column))
plot data using 2:xticlabels(1) title "flood" linecolor rgb "#3b6ea8", \
     '' using 3 title "one event per TLS record" linecolor rgb "#e0963a", \
     '' using ($0 - 0.2):2:(at($2)) with labels offset 0,0.7 notitle, \
     '' using ($0 + 0.22):3:(at($3)) with labels offset 0,0.7 notitle
