# Prints the first line that is answered, or why there is none.
#
#   ask.pl PROTOCOL ADDRESS PORT [SOURCE [SOURCE-PORT]]
use strict;
use warnings;
use Errno;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
use constant SECONDS => 5;

my ( $protocol, $to, $port, $source, $source_port ) = @ARGV;
my $is_udp = $protocol eq 'udp';
socket( my $socket, $to =~ /:/ ? AF_INET6 : AF_INET, $is_udp ? SOCK_DGRAM : SOCK_STREAM, 0 ) or die "socket: $!";
if ( defined $source ) { bind( $socket, packed( $source, $source_port // 0 ) ) or die "bind: $!" }
$SIG{ALRM} = sub { print "nothing\n"; exit 0 };
alarm SECONDS;
print answer() // ( $!{ECONNREFUSED} ? 'refused' : "nothing: $!" ), "\n";

sub answer {
    connect( $socket, packed( $to, $port ) ) or return undef;
    my $answer;
    if ($is_udp) {
        send( $socket, 'question', 0 ) // return undef;
        recv( $socket, $answer, 512, 0 ) // return undef;
    }
    else { $answer = <$socket> // return undef }
    chomp $answer;
    return $answer;
}

sub packed {
    my ( $host, $number ) = @_;
    return $host =~ /:/ ? pack_sockaddr_in6( $number, inet_pton( AF_INET6, $host ) ) : pack_sockaddr_in( $number, inet_aton($host) );
}
